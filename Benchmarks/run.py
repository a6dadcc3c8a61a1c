#!/usr/bin/env python3
"""Measures our server and its peers in interleaved rounds, and prints one table of medians.

Round 1 runs every scenario on every server, then round 2 does, and so on: what disturbs the machine for a while
disturbs all. A run in which a reader misses a message, or gets one twice or out of order, does not count.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from bench import http, machine, scenarios, table
from bench.servers import OUT, ROOT, BenchmarkError, Server, servers


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--servers", metavar="NAME,…", help="only these (the beginning of a name will do)")
    parser.add_argument("--scenarios", metavar="NAME,…", help="only these (the beginning of a name will do)")
    parser.add_argument("--rounds", type=int, default=5, help="how many (5)")
    parser.add_argument("--quick", action="store_true", help="one round of a quarter of the load: does it all work?")
    parser.add_argument("--ours", type=Path, default=ROOT / ".build" / "release", help="folder of our programs")
    parser.add_argument("--json", type=Path, default=OUT / "results.json", help="where to put all values")
    parser.add_argument("--list", action="store_true", help="list the servers and the scenarios")
    return parser.parse_args()


def chosen(names: str | None, known: list[str]) -> list[str]:
    """Those of the known names that are asked for."""
    if not names:
        return known
    wanted = []
    for name in names.split(","):
        matches = [name] if name in known else [other for other in known if other.startswith(name)]
        if not matches:
            sys.exit(f"there is no {name}: {', '.join(known)}")
        wanted += matches
    return [name for name in known if name in wanted]


class Run:
    def __init__(self, participants: list[Server], measured: list[scenarios.Scenario], load: float) -> None:
        self.servers = participants
        self.scenarios = measured
        self.load = load
        self.results: table.Results = {}
        self.failures: dict[tuple[str, str], str] = {}

    def check(self) -> None:
        """Leaves out the servers that are not correct."""
        for server in list(self.servers):
            say(f"check {server.name}")
            try:
                (http.check if server.kind == http.KIND else scenarios.check)(server)
            except BenchmarkError as error:
                self.servers.remove(server)
                self.fail("check", server, error)

    def round(self, number: int) -> None:
        for scenario in self.scenarios:
            for server in self.servers:
                if server.kind != scenario.kind:
                    continue
                say(f"round {number}: {scenario.title}: {server.name}")
                try:
                    metrics = scenario.measure(server, server.share * self.load)
                except BenchmarkError as error:
                    self.fail(scenario.title, server, error)
                    continue
                for metric, value in metrics.items():
                    by_server = self.results.setdefault(scenario.title, {}).setdefault(metric, {})
                    by_server.setdefault(server.name, []).append(value)

    def fail(self, title: str, server: Server, error: BenchmarkError) -> None:
        self.failures[title, server.name] = str(error)
        say(f"FAILED: {title}: {server.name}: {error}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    arguments = parse_arguments()
    known = servers(arguments.ours.resolve())
    by_name = {scenario.name: scenario for scenario in scenarios.ALL + http.ALL}
    if arguments.list:
        print("servers:  ", " ".join(known), "\nscenarios:", " ".join(by_name))
        return 0
    measured = [by_name[name] for name in chosen(arguments.scenarios, list(by_name))]
    kinds = {scenario.kind for scenario in measured}
    participants = [known[name] for name in chosen(arguments.servers, list(known)) if known[name].kind in kinds]
    programs = {"messenger-load"} | {server.program for server in participants if server.program}
    subprocess.run([ROOT / "Benchmarks" / "build.sh", *sorted(programs)], check=True)

    run = Run(participants, measured, 0.25 if arguments.quick else 1)
    facts = machine.describe(sys.argv)
    run.check()
    for number in range(1, 2 if arguments.quick else arguments.rounds + 1):
        run.round(number)

    for kind in dict.fromkeys(scenario.kind for scenario in measured):
        names = [server.name for server in run.servers if server.kind == kind]
        titles = {scenario.title for scenario in measured if scenario.kind == kind}
        results = {title: metrics for title, metrics in run.results.items() if title in titles}
        print(table.markdown(results, names, run.failures), end="\n\n")
    print("\n".join(f"- {name}: {value}" for name, value in facts.items()))
    failures = {f"{scenario}: {server}": error for (scenario, server), error in run.failures.items()}
    arguments.json.write_text(
        json.dumps({"machine": facts, "results": table.summary(run.results), "failures": failures}, indent=2)
    )
    say(f"all values are in {arguments.json}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
