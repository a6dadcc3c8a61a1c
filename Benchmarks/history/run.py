#!/usr/bin/env python3
"""Measures storage of the history: SendMessage by 1 and by 100 senders at a time, beside a bare loop of SQLite's and
redis-benchmark's XADD. Rounds, medians; a table on standard output.

    Benchmarks/build.sh messenger-load && Benchmarks/history/run.py [--rounds 3] [--folder ON_THE_DISK]
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from programs import OUT, SERVER, bare_sqlite, load, output, redis, redis_benchmark, redis_history, servers

#: Senders at a time: connections, streams on each, calls.
LOADS = {1: (1, 1, 3_000), 100: (10, 10, 40_000)}


def sends(program: Path, history: str, sync: str, senders: int) -> tuple[float, float, float]:
    """Calls a second, 99th percentile in ms, the server's processor time for a call in µs."""
    connections, streams, calls = LOADS[senders]
    with servers(program, 1, history, sync) as running:
        result = load("unary", running, connections=connections, streams=streams, messages=calls)
    return calls / result["seconds"], result["p99_us"] / 1000, result["server_cpu_seconds"] / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", type=Path, default=SERVER)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to be measured")
    arguments = parser.parse_args()
    source = Path(__file__).with_name("bare_sqlite.c")
    output("cc", "-O2", "-Wall", "-Wextra", "-o", OUT / "bare_sqlite", source, "-lsqlite3", "-pthread")
    folder = Path(tempfile.mkdtemp(prefix="messenger-bench-", dir=arguments.folder))
    results: dict[str, list] = {}

    def note(name: str, *values: float) -> None:
        results.setdefault(name, []).append(values)

    try:
        with redis(folder):
            for round in range(arguments.rounds):
                # With a hundred senders about twenty messages gather for a commit.
                for sync in ("full", "normal"):
                    for batch in (1, 20, 100):
                        note(f"bare SQLite loop, {sync}, {batch} a commit", *bare_sqlite(folder, sync, "loop", batch), 0)
                    note(f"bare group commit, {sync}, 100 threads", *bare_sqlite(folder, sync, "senders", 100), 0)
                for clients, pipelined, calls in (1, 1, 20_000), (100, 1, 100_000), (1, 100, 200_000):
                    rate = redis_benchmark(clients, pipelined, calls)
                    note(f"redis-benchmark XADD, {clients} clients, {pipelined} on the way of each", rate, 0, 0)
                for senders in LOADS:
                    for name, history, sync in (
                        ("memory:", "memory:", "full"),
                        ("sqlite:, full", f"sqlite:{folder}/{round}-{senders}-full.db", "full"),
                        ("sqlite:, normal", f"sqlite:{folder}/{round}-{senders}-normal.db", "normal"),
                        ("redis:", redis_history(f"bench-{round}-{senders}"), "full"),
                    ):
                        measured = sends(arguments.server, history, sync, senders)
                        note(f"SendMessage, {name}, {senders} senders", *measured)
    finally:
        shutil.rmtree(folder)
    print("| what | a second | p99 | server's CPU |\n|---|---|---|---|")
    for name, rounds in results.items():
        rate, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {rate:,.0f} | {f'{p99:.2f} ms' if p99 else ''} | {f'{cpu:.0f} µs' if cpu else ''} |")


if __name__ == "__main__":
    main()
