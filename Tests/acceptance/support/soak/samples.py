"""What a program uses over time, and whether that grows.

Samples are taken when all is well: between two faults, after everybody has sent and got a message. So they are of one
and the same situation, and need no smoothing for what a fault itself costs.

The first third is left out: histories and buffers fill up, and the allocator keeps memory that was needed once. Of what
is left, the median of the second half must not be above that of the first half by more than the tolerance. Medians,
because a sample may fall into a moment in which a connection is just being closed. The slope, which is printed too, is
Theil and Sen's: the median of the slopes between all pairs of samples.
"""

import itertools
import statistics
from dataclasses import dataclass, field

from support.usage import Usage

#: By how much the later median may exceed the earlier one: a part of it, and an amount.
TOLERANCES = {"file descriptors": (0.0, 3), "threads": (0.0, 2), "memory": (0.10, 6e6)}


def slope(points: list[tuple[float, float]]) -> float:
    """The median slope between the points; of many points, between some."""
    some = points[:: max(1, len(points) // 150)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(some, 2) if b[0] != a[0]]
    return statistics.median(slopes) if slopes else 0.0


@dataclass
class Series:
    """One program's samples: seconds since the start, and what it used."""

    name: str
    samples: list[tuple[float, Usage]] = field(default_factory=list)

    def values(self, what: str) -> list[tuple[float, float]]:
        attribute = {"file descriptors": "file_descriptors", "threads": "threads", "memory": "resident_bytes"}[what]
        return [(when, getattr(usage, attribute)) for when, usage in self.samples]

    def settled(self, what: str) -> list[tuple[float, float]]:
        """Without the first third."""
        values = self.values(what)
        return values[len(values) // 3 :]

    def growth(self, what: str) -> str | None:
        """What has grown, in words; None if nothing has, or if there are too few samples to tell."""
        values = [value for _, value in self.settled(what)]
        if len(values) < 10:
            return None
        earlier, later = statistics.median(values[: len(values) // 2]), statistics.median(values[len(values) // 2 :])
        part, amount = TOLERANCES[what]
        if later <= earlier * (1 + part) + amount:
            return None
        return f"{self.name}: {what} grew from {earlier:.0f} to {later:.0f} (medians)"

    def lines(self) -> list[str]:
        """First, last and slope of each, for the report."""
        lines = []
        for what in TOLERANCES if self.samples else ():
            values, scale, unit = self.values(what), *((1e6, " MB") if what == "memory" else (1, ""))
            first, last = values[0][1] / scale, values[-1][1] / scale
            per_hour = slope(self.settled(what)) * 3600 / scale
            lines.append(
                f"{self.name:<9} {what:<17} {first:8.1f}{unit:<3} {last:8.1f}{unit:<3} {per_hour:+9.2f}{unit}/h"
            )
        return lines
