"""The soak: a short one, and whether it would see that something grows."""

import pytest

from soak import run
from support.soak.samples import Series
from support.usage import Usage

MEGABYTE = 1_000_000


@pytest.mark.fault
def test_a_short_soak(ours):
    """A quarter of a minute of random faults, always the same ones."""
    assert run(0.25, seed=7, say=print) == []


def series(usages: list[tuple[int, int, int]]) -> Series:
    return Series("server", [(float(second), Usage(*usage)) for second, usage in enumerate(usages)])


@pytest.mark.parametrize(
    ("usages", "grown"),
    [
        ([(20, 10, 50 * MEGABYTE)] * 90, []),
        # It fills up in the first third, then a sample now and then is higher.
        (
            [(20, 10, (20 + n) * MEGABYTE) for n in range(30)]
            + [(20 + 9 * (n % 7 == 0), 10, 51_000_000) for n in range(60)],
            [],
        ),
        ([(20 + n // 5, 10, 50 * MEGABYTE) for n in range(90)], ["file descriptors"]),
        ([(20, 10 + n // 10, 50 * MEGABYTE) for n in range(90)], ["threads"]),
        ([(20, 10, 50 * MEGABYTE + n * 500_000) for n in range(90)], ["memory"]),
    ],
    ids=["flat", "settling", "file descriptors", "threads", "memory"],
)
def test_growth_is_seen(usages, grown):
    """What leaks a little with each fault is found, what settles is not."""
    each = series(usages)
    assert [what for what in ("file descriptors", "threads", "memory") if each.growth(what)] == grown
