"""Waiting for conditions, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], what: str, within: float = 20) -> Value:
    """Calls `condition` until it returns something true, and returns that; fails with `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {within:g} s still waiting: {what}"
        time.sleep(0.01)
