"""What a test needs that a machine may lack."""

import os

import pytest


def lacks(what: str) -> None:
    """Passes the test over; in CI (`CI` is set) it fails: there nobody would miss it."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}; in CI this test has to run")
    pytest.skip(what)
