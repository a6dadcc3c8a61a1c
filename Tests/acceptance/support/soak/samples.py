"""What a program uses over time, and whether that grows.

Samples are taken between two faults, after everybody has sent and received a message. So the cost of a fault itself is
not in them.

A leak is in what the program has allocated, as its metrics say, or outside the allocator's heaps. The rest of its memory
is freed: the heaps keep it, because something that is still used is on the same page. That part varies by megabytes and
settles slowly, so all memory together may grow by more.

The first third of the samples is left out, and the first minutes of a short soak: histories and buffers fill up, and
the allocator keeps memory that was needed once. The rest may not grow by more than the tolerance. Growth is the slope
of Theil and Sen, the median of the slopes between all pairs of samples. A few outliers do not change it, such as a
sample taken while a connection was being closed. The slope is uncertain, more so with fewer samples, and the test uses
the lowest value that it may have. So a longer soak notices smaller leaks: 16 MB an hour after ten minutes, 2 MB after
an hour.
"""

import itertools
import math
import statistics
from dataclasses import dataclass, field

from support import usage
from support.http import HTTPClient
from support.metrics import scrape

#: By how much each may grow after the first third.
TOLERANCES = {
    "file descriptors": 1.0,
    "threads": 1.0,
    "memory": 4e6,
    "memory allocated": 1e6,
    "memory beside heaps": 1e6,
}

#: Seconds that a server takes to settle: on a busy machine, the soak's history is full after 240.
WARM_UP = 300

#: In standard deviations: one slope in 700 is below what it may be at the least.
CONFIDENCE = 3


def slopes(points: list[tuple[float, float]]) -> tuple[float, float]:
    """The slope through the points, and its lowest plausible value, after Sen (1968). It samples many points."""
    some = points[:: max(1, len(points) // 150)]
    all_ = sorted((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(some, 2) if b[0] != a[0])
    if not all_:
        return 0.0, 0.0
    count = len(some)
    # Kendall's: how far the number of rising pairs is by chance from that of falling ones.
    spread = CONFIDENCE * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return statistics.median(all_), all_[max(0, int((len(all_) - spread) / 2))]


@dataclass(frozen=True)
class Usage:
    """What a process uses at one moment."""

    file_descriptors: int
    threads: int
    resident_bytes: int
    bytes_beside_heaps: int
    allocated_bytes: int

    @staticmethod
    def of(pid: int, metrics: HTTPClient) -> "Usage":
        return Usage(
            usage.file_descriptors(pid),
            usage.threads(pid),
            usage.resident_bytes(pid),
            usage.bytes_beside_heaps(pid),
            int(scrape(metrics)("process_allocated_memory_bytes")),
        )

    def value(self, what: str) -> float:
        return {
            "file descriptors": self.file_descriptors,
            "threads": self.threads,
            "memory": self.resident_bytes,
            "memory allocated": self.allocated_bytes,
            "memory beside heaps": self.bytes_beside_heaps,
        }[what]


@dataclass
class Series:
    """One program's samples: seconds since the start, and what it used."""

    name: str
    samples: list[tuple[float, Usage]] = field(default_factory=list)

    def values(self, what: str) -> list[tuple[float, float]]:
        return [(when, sample.value(what)) for when, sample in self.samples]

    def settled(self, what: str) -> list[tuple[float, float]]:
        """The samples without the first ones."""
        values = self.values(what)
        beginning = max(values[-1][0] / 3, WARM_UP) if values else 0
        return [value for value in values if value[0] >= beginning]

    def growth(self, what: str) -> str | None:
        """What has grown, in words. None if nothing has, or if there are too few samples."""
        values = self.settled(what)
        if len(values) < 10:
            return None
        _, least = slopes(values)
        growth = least * (values[-1][0] - values[0][0])
        if growth <= TOLERANCES[what]:
            return None
        return f"{self.name}: {what} grew by at least {growth:.0f} in {values[-1][0] - values[0][0]:.0f} s"

    def lines(self) -> list[str]:
        """First and last value and slope of each, for the report."""
        lines = []
        for what in TOLERANCES if self.samples else ():
            values, scale, unit = self.values(what), *((1e6, " MB") if what.startswith("memory") else (1, ""))
            first, last = values[0][1] / scale, values[-1][1] / scale
            per_hour = slopes(self.settled(what))[0] * 3600 / scale
            lines.append(
                f"{self.name:<9} {what:<19} {first:8.1f}{unit:<3} {last:8.1f}{unit:<3} {per_hour:+9.2f}{unit}/h"
            )
        return lines
