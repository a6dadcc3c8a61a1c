"""The tables of docs/security.md and docs/scaling.md name the tests that show their rows."""

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Where other programs are tested, as in containers, there is no documentation.
pytestmark = pytest.mark.usefixtures("ours")


def known_names() -> set[str]:
    """All names of acceptance tests and their files, and of the Swift tests' suites."""
    names = set()
    for file in Path(__file__).parent.glob("*.py"):
        names |= {file.name, *re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    return names | {file.stem for file in (ROOT / "Tests").glob("*Tests/**/*Tests.swift")}


@pytest.mark.parametrize("page", ["security.md", "scaling.md"])
def test_tables_name_tests_that_exist(page):
    named = re.findall(r"`(test_[\w*.]+|\w+Tests)`", (ROOT / "docs" / page).read_text())
    known = known_names()
    missing = [name for name in named if not fnmatch.filter(known, name)]
    assert not missing
