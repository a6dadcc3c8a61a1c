"""The example in the binding's documentation is the program that is built, and does what the page says."""

import os
import subprocess

import pytest

from support.processes import PROGRAMS, ROOT

ARTICLE = ROOT / "Sources" / "GRPC" / "GRPC.docc" / "FirstService.md"
EXAMPLE = ROOT / "Examples" / "FirstService" / "FirstService.swift"


@pytest.mark.skipif("MESSENGER_TEST_BIN" in os.environ, reason="a release comes without examples")
def test_the_first_service(ours):
    blocks = ARTICLE.read_text().split("```")
    assert blocks[1] == "swift\n" + EXAMPLE.read_text()
    printed = subprocess.run([PROGRAMS / "first-service"], capture_output=True, text=True, timeout=60, check=True)
    assert blocks[3].lstrip("\n") == printed.stdout
