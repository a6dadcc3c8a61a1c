"""./dev soak: a server and two clients under mixed load with random faults.

It fails if a message is lost, if somebody does not recover from a fault, or if a program's file descriptors, threads or
memory grow (see support/soak/samples.py).
"""

import argparse
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing

from support.history import History, violations
from support.launcher import Launcher
from support.soak.faults import Faults
from support.soak.samples import TOLERANCES, Series
from support.traffic import Traffic
from support.usage import Usage


def run(minutes: float, seed: int, say: Callable[[str], None]) -> list[str]:
    """Runs the soak, reports by `say`, and returns what is wrong."""
    chance = random.Random(seed)
    with ExitStack() as ending:
        launch = ending.enter_context(closing(Launcher()))
        try:
            faults = Faults(chance, launch, lambda server: ending.enter_context(closing(Traffic(server))))
            ending.enter_context(closing(faults.link))
            series, recoveries = break_things(faults, chance, minutes * 60, say)
            history = faults.room.finish()
        except BaseException:
            say(launch.logs())
            raise
    report(series, recoveries, history, say)
    grown = [growth for each in series for what in TOLERANCES if (growth := each.growth(what))]
    return grown + [str(violation) for violation in violations(history)[:20]]


def break_things(
    faults: Faults, chance: random.Random, seconds: float, say: Callable[[str], None]
) -> tuple[list[Series], dict[str, list[float]]]:
    """Injects one fault after the other. After each, everything must recover before the next."""
    # The other client is another process after each kill.
    series = {"server": Series("server"), "client": Series("client")}
    recoveries: dict[str, list[float]] = defaultdict(list)
    began, reported = time.monotonic(), 0.0
    faults.room.until_normal()
    while (now := time.monotonic() - began) < seconds:
        for name, program in ("server", faults.server), ("client", faults.steady):
            series[name].samples.append((now, Usage.of(program.pid)))
        if now - reported >= 60:
            reported = now
            count = sum(map(len, recoveries.values()))
            say(f"{now / 60:.0f} min: {faults.room.accepted} messages accepted, {count} faults")
        name = chance.choice(list(faults.all))
        faults.all[name]()
        recoveries[name].append(faults.room.until_normal())
        faults.room.run(chance.randrange(20, 200))
    return list(series.values()), recoveries


def report(
    series: list[Series], recoveries: dict[str, list[float]], history: History, say: Callable[[str], None]
) -> None:
    say(f"\n{'fault':<27} {'times':>5}   until everybody sends and gets again: median, longest")
    for name, times in sorted(recoveries.items()):
        say(f"{name:<27} {len(times):>5}   {statistics.median(times):.2f} s, {max(times):.2f} s")
    say(f"\n{'program':<9} {'':<17} {'first':>8}    {'last':>8}    {'slope':>9}")
    for each in series:
        for line in each.lines():
            say(line)
    say(f"\nhistory: {history.summary()}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults' order and times")
    arguments = parser.parse_args()
    print(f"soak: {arguments.minutes:g} minutes, --seed {arguments.seed}", flush=True)
    wrong = run(arguments.minutes, arguments.seed, lambda line: print(line, flush=True))
    for line in wrong:
        print(f"WRONG: {line}", flush=True)
    print("soak: FAILED" if wrong else "soak: passed, nothing is lost and nothing grows", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
