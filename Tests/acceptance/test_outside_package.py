"""The binding in a package of somebody else, which depends on this repository by its URL."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support.processes import ROOT

pytestmark = [
    pytest.mark.repository,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.usefixtures("own_programs"),
    pytest.mark.skipif("MESSENGER_TEST_BIN" in os.environ, reason="a release comes without sources"),
]

MANIFEST = """// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "Outside",
    dependencies: [.package(url: "{url}", branch: "main")],
    targets: [.executableTarget(name: "Outside", dependencies: [.product(name: "LibGRPC", package: "messenger")])]
)
"""
# The modules that the library product consists of, and the program's own.
MODULES = {"CGRPCServices", "CGRPCTuning", "GRPCServices", "LibGRPC", "Outside"}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit_sources(repository: Path) -> None:
    """Makes a repository of the sources as they are now, whether or not they are committed here."""
    names = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, repository / name, follow_symlinks=False)
    run(repository, "git", "init", "-q", "-b", "main")
    run(repository, "git", "add", "-A")
    run(repository, "git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "test")


@pytest.mark.timeout(900)
def test_a_package_by_url_builds_the_binding_alone(tmp_path, figure):
    repository, outside = tmp_path / "messenger", tmp_path / "outside"
    repository.mkdir()
    commit_sources(repository)
    (outside / "Sources/Outside").mkdir(parents=True)
    (outside / "Package.swift").write_text(MANIFEST.format(url=repository.as_uri()))
    shutil.copy(ROOT / "Examples/FirstService/FirstService.swift", outside / "Sources/Outside/Outside.swift")

    run(outside, "swift", "package", "resolve")
    began = time.monotonic()
    run(outside, "swift", "build")
    took = time.monotonic() - began
    resolved = json.loads((outside / "Package.resolved").read_text())["pins"]

    build = outside / ".build/debug"
    # SwiftPM makes a folder for each target that it knows, compiled or not.
    assert {folder.stem for folder in build.glob("*.build") if any(folder.rglob("*.o"))} == MODULES
    assert run(outside, str(build / "Outside")) == "Hello, Ann!\n1\n2\n3\n"
    names = ", ".join(pin["identity"] for pin in resolved)
    figure("packages that SwiftPM resolves for a package that uses the binding alone", names)
    figure("seconds that its first build takes", f"{took:.0f}")
