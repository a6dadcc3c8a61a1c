#!/usr/bin/env python3
"""Measures a room of several servers in Redis: what sends and deliveries cost as servers are added, beside one server
with its history in memory. The load is the same each time, and spread over the servers. Rounds, medians; a table on
standard output.

    Benchmarks/build.sh messenger-load && Benchmarks/history/cluster.py [--rounds 3] [--servers 1,2,3,4]
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from programs import SERVER, Running, load, redis, redis_history, servers

#: Connections divide by 1, 2, 3 and 4.
CALLS, SENDING = 40_000, {"connections": 12, "streams": 8}
READERS, MESSAGES, READING = 1_000, 1_000, {"connections": 12, "senders": 12, "window": 1}


def sends(running: list[Running], store: Running) -> list[float]:
    """Sends a second, processor seconds of the servers and of Redis for 100,000 of them."""
    before = store.cpu_seconds()
    result = load("unary", running, messages=CALLS, **SENDING)
    stored = store.cpu_seconds() - before
    return [CALLS / result["seconds"], result["server_cpu_seconds"] / CALLS * 1e5, stored / CALLS * 1e5]


def deliveries(running: list[Running], store: Running) -> list[float]:
    """Deliveries a second, processor seconds of the servers and of Redis for a million, median and p99 in ms."""
    before = store.cpu_seconds()
    result = load("fanout", running, readers=READERS, messages=MESSAGES, **READING)
    stored = store.cpu_seconds() - before
    millions = result["deliveries"] / 1e6
    rate = result["deliveries"] / result["seconds"]
    latencies = [result["p50_us"] / 1000, result["p99_us"] / 1000]
    return [rate, result["server_cpu_seconds"] / millions, stored / millions, *latencies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", type=Path, default=SERVER)
    parser.add_argument("--servers", default="1,2,3,4", help="how many")
    arguments = parser.parse_args()
    counts = [int(word) for word in arguments.servers.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="messenger-bench-"))
    results: dict[str, list[list[float]]] = {}
    try:
        with redis(folder) as store:
            for round in range(arguments.rounds):
                rooms = [("1, in memory", 1, "memory:")]
                rooms += [(f"{count}, in Redis", count, redis_history(f"{round}-{count}")) for count in counts]
                for name, count, history in rooms:
                    with servers(arguments.server, count, history) as running:
                        row = sends(running, store) + deliveries(running, store)
                    results.setdefault(name, []).append(row)
    finally:
        shutil.rmtree(folder)
    columns = ["servers", "sends/s", "servers' CPU s / 100k", "Redis's"]
    columns += ["deliveries/s", "servers' CPU s / 1M", "Redis's", "p50", "p99"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for name, rounds in results.items():
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        texts = "{:,.0f} | {:.2f} | {:.2f} | {:,.0f} | {:.2f} | {:.2f} | {:.1f} ms | {:.1f} ms".format(*medians)
        print(f"| {name} | {texts} |")


if __name__ == "__main__":
    main()
