"""A short soak, and whether a soak would notice growth."""

import math
import random

import pytest

from soak import run
from support.soak.samples import Series
from support.usage import Usage

pytestmark = pytest.mark.history

MEGABYTE = 1_000_000


@pytest.mark.fault
def test_a_short_soak(own_programs):
    """15 s of random faults, always the same ones."""
    assert run(0.25, seed=7, say=print) == []


def settling(second: float) -> float:
    """A server's memory as in a soak: it grows ever more slowly, and now and then a connection is being closed."""
    chance = random.Random(second)
    return 26.4 + 1.1 * math.log(1 + second) + chance.gauss(0, 0.3) + (8 if chance.random() < 0.04 else 0)


def series(seconds: int, file_descriptors=lambda _: 20, threads=lambda _: 10, megabytes=settling) -> Series:
    """Samples every two seconds."""
    times = [float(second) for second in range(0, seconds, 2)]
    return Series(
        "server",
        [(when, Usage(file_descriptors(when), threads(when), int(megabytes(when) * MEGABYTE))) for when in times],
    )


# What leaks a little with each fault or message is found, what settles is not.
@pytest.mark.parametrize(
    ("each", "grown"),
    [
        (series(600), []),
        (series(1500), []),
        (series(600, file_descriptors=lambda when: 20 + (when % 14 == 0)), []),
        (series(300), []),
        (series(60), []),
        (series(600, file_descriptors=lambda when: 20 + when // 100), ["file descriptors"]),
        (series(600, threads=lambda when: 10 + when // 100), ["threads"]),
        (series(600, megabytes=lambda when: settling(when) + 30 * when / 3600), ["memory"]),
        (series(1500, megabytes=lambda when: settling(when) + 10 * when / 3600), ["memory"]),
        (series(3600, megabytes=lambda when: settling(when) + 4 * when / 3600), ["memory"]),
    ],
    ids=[
        "10 minutes",
        "25 minutes",
        "a connection now and then",
        "5 minutes",
        "a minute",
        "a file descriptor in 100 s",
        "a thread in 100 s",
        "30 MB an hour, in 10 minutes",
        "10 MB an hour, in 25 minutes",
        "4 MB an hour, in an hour",
    ],
)
def test_growth_is_noticed(each, grown):
    assert [what for what in ("file descriptors", "threads", "memory") if each.growth(what)] == grown
