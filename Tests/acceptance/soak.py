"""./dev soak: a server and two clients under mixed load with random faults.

It fails if a message is lost, if somebody does not recover from a fault, or if a program's file descriptors, threads or
memory grow (see support/soak/samples.py).
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.history import History, violations
from support.http import HTTPClient
from support.launcher import Launcher
from support.soak.faults import Faults
from support.soak.samples import TOLERANCES, Series, Usage
from support.traffic import Traffic


@dataclass
class Course:
    """What happened in a soak."""

    #: Seconds since 1970.
    began: float = field(default_factory=time.time)
    # The other client is another process after each kill.
    series: list[Series] = field(default_factory=lambda: [Series("server"), Series("client")])
    #: When each fault began (seconds since the start), its name, and how long everybody took to recover.
    faults: list[tuple[float, str, float]] = field(default_factory=list)


def run(minutes: float, seed: int, say: Callable[[str], None], pictures: Path | None = None) -> list[str]:
    """Runs the soak, reports by `say`, and returns what is wrong."""
    chance = random.Random(seed)
    with ExitStack() as ending:
        launch = ending.enter_context(closing(Launcher()))
        try:
            faults = Faults(chance, launch, lambda server: ending.enter_context(closing(Traffic(server))))
            ending.enter_context(closing(faults.link))
            course = Course()
            if pictures:
                ending.enter_context(drawn(course, faults.metrics, pictures, say))
            break_things(faults, chance, minutes * 60, course, say)
            history = faults.room.finish()
        except BaseException:
            say(launch.logs())
            raise
    report(course, history, say)
    grown = [growth for each in course.series for what in TOLERANCES if (growth := each.growth(what))]
    return grown + [str(violation) for violation in violations(history)[:20]]


def break_things(
    faults: Faults, chance: random.Random, seconds: float, course: Course, say: Callable[[str], None]
) -> None:
    """Injects one fault after the other. After each, everything must recover before the next."""
    began, reported = time.monotonic(), 0.0
    faults.room.until_normal()
    while (now := time.monotonic() - began) < seconds:
        for series, program in zip(course.series, (faults.server, faults.steady), strict=True):
            metrics = HTTPClient(f"127.0.0.1:{faults.metrics[series.name]}")
            series.samples.append((now, Usage.of(program.pid, metrics)))
        if now - reported >= 60:
            reported, (load, _, _) = now, os.getloadavg()
            counts = f"{faults.room.accepted} messages accepted, {len(course.faults)} faults"
            say(f"{now / 60:.0f} min: {counts}, load {load:.1f}")
        name = chance.choice(list(faults.all))
        faults.all[name]()
        course.faults.append((now, name, faults.room.until_normal()))
        faults.room.run(chance.randrange(20, 200))


@contextmanager
def drawn(course: Course, metrics: dict[str, int], folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Lets Prometheus scrape the programs, and draws what it has when the soak has ended or failed."""
    # Only for this: they need more than a soak does.
    from support.soak.pictures import Pictures
    from support.soak.prometheus import Prometheus

    with closing(Prometheus(metrics)) as prometheus:
        try:
            yield
        finally:
            faults = [(when, name) for when, name, _ in course.faults]
            threads = {series.name: series.values("threads") for series in course.series}
            pictures = Pictures(prometheus, course.began, time.time(), faults, threads)
            for expression in pictures.draw(folder):
                say(f"the dashboard has no data for {expression}")


def report(course: Course, history: History, say: Callable[[str], None]) -> None:
    recoveries: dict[str, list[float]] = defaultdict(list)
    for _, name, seconds in course.faults:
        recoveries[name].append(seconds)
    say(f"\n{'fault':<27} {'times':>5}   until everybody sends and gets again: median, longest")
    for name, times in sorted(recoveries.items()):
        say(f"{name:<27} {len(times):>5}   {statistics.median(times):.2f} s, {max(times):.2f} s")
    say(f"\n{'program':<9} {'':<19} {'first':>8}    {'last':>8}    {'slope':>9}")
    for each in course.series:
        for line in each.lines():
            say(line)
    say(f"\nhistory: {history.summary()}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults' order and times")
    parser.add_argument("--pictures", type=Path, help="a folder for soak.svg and dashboard.svg, from Prometheus")
    arguments = parser.parse_args()
    print(f"soak: {arguments.minutes:g} minutes, --seed {arguments.seed}", flush=True)
    wrong = run(arguments.minutes, arguments.seed, lambda line: print(line, flush=True), arguments.pictures)
    for line in wrong:
        print(f"WRONG: {line}", flush=True)
    print("soak: FAILED" if wrong else "soak: passed, nothing is lost and nothing grows", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
