"""What a test needs that a machine may lack."""

import os

import pytest


def skip_or_fail(what: str) -> None:
    """Skips the test. In CI (`CI` is set) it fails instead, because nobody would notice."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI this test has to run")
    pytest.skip(what)
