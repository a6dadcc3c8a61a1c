"""A short soak, and whether a soak would notice growth."""

import math
import random

import pytest

from soak import run
from support.soak.samples import TOLERANCES, Series, Usage

pytestmark = pytest.mark.history

MEGABYTE = 1_000_000


@pytest.mark.fault
def test_a_short_soak(own_programs):
    """15 s of random faults, always the same ones."""
    assert run(0.25, seed=7, say=print) == []


def kept(second: float) -> float:
    """Freed memory in the heaps, as in a soak: it grows ever more slowly, and now and then a fault has just ended."""
    chance = random.Random(second)
    return 1.1 * math.log(1 + second) + chance.gauss(0, 0.3) + (8 if chance.random() < 0.04 else 0)


def allocated(second: float) -> float:
    """The program's memory, as in a soak: now and then a connection is being closed."""
    chance = random.Random(second)
    return 7.7 + chance.gauss(0, 0.03) + (0.7 if chance.random() < 0.1 else 0)


def series(
    seconds: int,
    file_descriptors=lambda _: 20,
    threads=lambda _: 10,
    allocated=allocated,
    beside_heaps=lambda _: 29,
    kept=kept,
) -> Series:
    """Samples every two seconds, memory in megabytes."""

    def usage(when: float) -> Usage:
        parts = [beside_heaps(when), allocated(when), kept(when)]
        beside, used, all_ = (int(part * MEGABYTE) for part in (parts[0], parts[1], sum(parts)))
        return Usage(file_descriptors(when), threads(when), all_, beside, used)

    return Series("server", [(when, usage(when)) for when in map(float, range(0, seconds, 2))])


# What leaks a little with each fault or message is found, what settles is not.
@pytest.mark.parametrize(
    ("each", "grown"),
    [
        (series(600), []),
        (series(1500), []),
        (series(600, file_descriptors=lambda when: 20 + (when % 14 == 0)), []),
        (series(300), []),
        (series(60), []),
        (series(3600, kept=lambda when: kept(when) + 3 * when / 3600), []),
        (series(600, file_descriptors=lambda when: 20 + when // 100), ["file descriptors"]),
        (series(600, threads=lambda when: 10 + when // 100), ["threads"]),
        (series(600, allocated=lambda when: allocated(when) + 16 * when / 3600), ["memory allocated"]),
        (series(1500, allocated=lambda when: allocated(when) + 5 * when / 3600), ["memory allocated"]),
        (series(3600, allocated=lambda when: allocated(when) + 2 * when / 3600), ["memory allocated"]),
        (series(3600, beside_heaps=lambda when: 29 + 2 * when / 3600), ["memory beside heaps"]),
        (series(3600, kept=lambda when: kept(when) + 10 * when / 3600), ["memory"]),
    ],
    ids=[
        "10 minutes",
        "25 minutes",
        "a connection now and then",
        "5 minutes",
        "a minute",
        "heaps that settle slowly",
        "a file descriptor in 100 s",
        "a thread in 100 s",
        "16 MB an hour, in 10 minutes",
        "5 MB an hour, in 25 minutes",
        "2 MB an hour, in an hour",
        "2 MB an hour of stacks, in an hour",
        "heaps that do not settle",
    ],
)
def test_growth_is_noticed(each, grown):
    assert [what for what in TOLERANCES if each.growth(what)] == grown
