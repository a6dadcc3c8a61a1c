"""Waits for conditions, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], what: str, within: float = 20) -> Value:
    """Calls `condition` until it returns something true, and returns that. Fails with `what` after `within` seconds."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < within, f"after {within:g} s still waiting: {what}"
        # A condition that takes long is checked less often: the tests beside this one need the processor too.
        time.sleep(min(max(waited / 20, 0.01), 0.2))
