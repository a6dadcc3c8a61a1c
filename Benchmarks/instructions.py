#!/usr/bin/env python3
"""Counts the instructions that our server executes for a call and for a delivery, and compares them with a budget.

Unlike times these hardly change from run to run. Each load is run twice with different numbers, under callgrind: the
difference is what the calls or deliveries cost, without the start, the connection and the stop.
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.servers import OUT, ROOT, BenchmarkError, Server, running, servers
from bench.tools import load

BUDGET = Path(__file__).parent / "instructions.json"
READERS = 100
# By what is counted: the load, its smaller and its larger number, and how often each stands for.
LOADS = {
    "unary call": ("unary", {"connections": 5, "streams": 20}, 2_000, 8_000, 1),
    "keyed call": ("unary", {"connections": 5, "streams": 20, "keyed": 1}, 2_000, 8_000, 1),
    "delivery": ("fanout", {"readers": READERS, "senders": 1, "window": 1}, 50, 350, READERS),
}


def instructions(server: Server, mode: str, options: dict[str, int], number: int) -> int:
    # Valgrind stops at debugging information that is newer than it.
    program = OUT / "stripped" / Path(server.command[0]).name
    program.parent.mkdir(exist_ok=True)
    subprocess.run(["strip", "--strip-debug", "-o", program, server.command[0]], check=True)
    counting = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program)]
    with running(replace(server, command=counting)) as target:
        load(mode, target, **options, messages=number, warm_up=10, patience=60)
    collected = re.search(r"Collected : (\d+)", (OUT / f"{server.name}.log").read_text())
    if not collected:
        raise BenchmarkError("callgrind has not said how much it has counted")
    return int(collected[1])


def count(server: Server) -> dict[str, int]:
    result = {}
    for name, (mode, options, fewer, more, weight) in LOADS.items():
        print(f"counting instructions: {name}", file=sys.stderr)
        difference = instructions(server, mode, options, more) - instructions(server, mode, options, fewer)
        result[name] = round(difference / (more - fewer) / weight)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev budget", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--update", action="store_true", help="make what is measured the budget")
    parser.add_argument("--ours", type=Path, default=ROOT / ".build" / "release", help="folder of our programs")
    arguments = parser.parse_args()
    subprocess.run([ROOT / "Benchmarks" / "build.sh", "messenger-load"], check=True)
    budget = json.loads(BUDGET.read_text())
    measured = count(servers(arguments.ours.resolve())["messenger"])

    if arguments.update:
        budget["instructions"] = measured
        BUDGET.write_text(json.dumps(budget, indent=2) + "\n")
    over = False
    for name, value in measured.items():
        allowed = budget["instructions"][name]
        change = value / allowed - 1
        too_many = change > budget["tolerance"]
        over = over or too_many
        print(f"{name}: {value:,} instructions, budget {allowed:,} ({change:+.1%}){' TOO MANY' if too_many else ''}")
    if over:
        print(f"more than {budget['tolerance']:.0%} over the budget of {BUDGET.name}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
