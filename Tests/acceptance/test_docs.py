"""The documentation is right: its examples, and the tests that it names."""

import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.processes import PROGRAMS, ROOT

# Where other programs are tested, as in containers, there is no documentation.
pytestmark = [pytest.mark.repository, pytest.mark.usefixtures("own_programs")]


def known_names() -> set[str]:
    """All names of acceptance tests and their files, and of the Swift tests' suites."""
    names = set()
    for file in Path(__file__).parent.glob("*.py"):
        names |= {file.name, *re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    return names | {file.stem for file in (ROOT / "Tests").glob("*Tests/**/*Tests.swift")}


@pytest.mark.parametrize("page", ["security.md", "scaling.md"])
def test_tests_named_in_the_documentation_exist(page):
    named = re.findall(r"`(test_[\w*.]+|\w+Tests)`", (ROOT / "docs" / page).read_text())
    known = known_names()
    missing = [name for name in named if not fnmatch.filter(known, name)]
    assert not missing


def test_each_row_of_the_failure_table_names_a_test(own_programs):
    page = (ROOT / "docs/scaling.md").read_text()
    rows = re.search(r"\| failure \|.*?\n\n", page, re.DOTALL)
    assert rows
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    for row in rows[0].strip().splitlines()[2:]:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, f"no test: {row}"
        for name in names:
            assert f"def {name}(" in tests, name


ARTICLE = ROOT / "Sources" / "LibGRPC" / "LibGRPC.docc" / "FirstService.md"
EXAMPLE = ROOT / "Examples" / "FirstService" / "FirstService.swift"


@pytest.mark.skipif("MESSENGER_TEST_BIN" in os.environ, reason="a release comes without examples")
def test_the_first_service_article(own_programs):
    """Its code is the example that is built, and its output is what the example prints."""
    blocks = ARTICLE.read_text().split("```")
    assert blocks[1] == "swift\n" + EXAMPLE.read_text()
    printed = subprocess.run([PROGRAMS / "first-service"], capture_output=True, text=True, timeout=60, check=True)
    assert blocks[3].lstrip("\n") == printed.stdout


def swift_blocks(text: str) -> list[str]:
    """The Swift code in a page, or in the comments of a source file."""
    blocks = re.findall(r"^( *(?:/// )?)```swift\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{re.escape(prefix)}|^ *///$", "", code, flags=re.MULTILINE) for prefix, code in blocks]


def as_source(block: str, index: int) -> str:
    """Declarations stay as they are. Statements become the body of a function, with what examples may use."""
    # Generated for a module of the reader's own.
    block = block.replace("import CHealth", "import CGRPCServices")
    if re.search(r"^(import|extension|struct) ", block, re.MULTILINE):
        return block
    parameters = "group: CompletionQueueGroup, server: Server, channel: Channel, context: ServerContext"
    return f"func example{index}({parameters}) async throws {{\n{block}}}\n"


# The build has no SwiftProtobuf. These are the declarations of its version 1.28 and later that the examples use.
SWIFT_PROTOBUF = """
public protocol SwiftProtobufContiguousBytes {}
extension [UInt8]: SwiftProtobufContiguousBytes {}
public struct BinaryEncodingOptions: Sendable { public init() {} }
public struct BinaryDecodingOptions: Sendable { public init() {} }
public protocol ExtensionMap: Sendable {}
public protocol Message: Sendable {}
extension Message {
    public init<Bytes: SwiftProtobufContiguousBytes>(
        serializedBytes bytes: Bytes, extensions: (any ExtensionMap)? = nil, partial: Bool = false,
        options: BinaryDecodingOptions = BinaryDecodingOptions()
    ) throws { fatalError() }
    public func serializedBytes<Bytes: SwiftProtobufContiguousBytes>(
        partial: Bool = false, options: BinaryEncodingOptions = BinaryEncodingOptions()
    ) throws -> Bytes { fatalError() }
}
"""


def emit_swift_protobuf(folder: Path) -> None:
    source = folder / "SwiftProtobuf.swift"
    source.write_text(SWIFT_PROTOBUF)
    command = ["swiftc", "-emit-module", "-parse-as-library", "-module-name", "SwiftProtobuf", source]
    subprocess.run([*command, "-o", folder / "SwiftProtobuf.swiftmodule"], timeout=170, check=True)


@pytest.mark.skipif("MESSENGER_TEST_BIN" in os.environ, reason="a release comes without modules")
def test_the_examples_of_the_bindings_documentation_compile(own_programs, tmp_path):
    """Those in its articles and in the comments of its sources, beside the example that is a program."""
    files = [file for pattern in ("*.md", "*.swift") for file in (ROOT / "Sources/LibGRPC").rglob(pattern)]
    blocks = [block for file in sorted(files) if file != ARTICLE for block in swift_blocks(file.read_text())]
    # The codec for SwiftProtobuf is in two places.
    codecs = sorted((block for block in blocks if "SwiftProtobuf" in block), key=len)
    assert len(codecs) == 2 and codecs[1].endswith(codecs[0])
    blocks.remove(codecs[0])
    emit_swift_protobuf(tmp_path)
    assert len(blocks) >= 15, "the pattern finds the examples"
    source = "import LibGRPC\n" + "".join(as_source(block, index) for index, block in enumerate(blocks))
    (tmp_path / "examples.swift").write_text(source)
    maps = ROOT / "Sources/CGRPC/module.modulemap", ROOT / "Sources/CGRPCServices/include/module.modulemap"
    command = ["swiftc", "-typecheck", "-parse-as-library", "-swift-version", "6", "-I", ROOT / ".build/debug/Modules"]
    command += ["-I", tmp_path, "-I", ROOT / "Sources/CGRPCTuning/include", EXAMPLE, tmp_path / "examples.swift"]
    for path in maps:
        command += ["-Xcc", f"-fmodule-map-file={path}"]
    check = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert check.returncode == 0, check.stderr
