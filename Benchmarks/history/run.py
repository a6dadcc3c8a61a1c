#!/usr/bin/env python3
"""Measures the homes of the history: SendMessage by 1 and by 100 senders at a time, beside a bare loop of SQLite's and
redis-benchmark's XADD. Rounds, medians; a table on standard output.

    Benchmarks/build.sh messenger-load && Benchmarks/history/run.py [--rounds 3] [--server .build/release/messenger-server]
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / ".build" / "bench"
PORT, REDIS_PORT = 18_777, 18_778
#: Senders at a time: connections, streams on each, and calls for each home.
LOADS = {1: (1, 1), 100: (10, 10)}


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Running:
    """A program that listens on a port, for the time of a `with`."""

    def __init__(self, command: list, port: int, **environment: str):
        self._process = subprocess.Popen(
            list(map(str, command)), env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.pid = self._process.pid
        wait_for(port)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


def sends(server: Path, history: str, sync: str, senders: int, calls: int) -> tuple[float, float, float]:
    """Calls a second, 99th percentile in ms, the server's processor time for a call in µs."""
    connections, streams = LOADS[senders]
    settings = {"MESSENGER_SERVER_PORT": str(PORT), "MESSENGER_HISTORY": history, "MESSENGER_HISTORY_SYNC": sync}
    with Running([server], PORT, **settings) as program:
        load = [OUT / "messenger-load", "unary", "--port", PORT, "--pid", program.pid, "--connections", connections]
        load += ["--streams", streams, "--messages", calls]
        answer = subprocess.run(list(map(str, load)), check=True, capture_output=True, text=True).stdout
    result = json.loads(answer)
    cpu = result["server_cpu_seconds"] / result["calls"] * 1e6
    return result["calls"] / result["seconds"], result["p99_us"] / 1000, cpu


def bare(folder: Path, sync: str, batch: int) -> tuple[float, float]:
    file = folder / f"bare-{sync}-{batch}-{time.monotonic_ns()}.db"
    command = [OUT / "bare_sqlite", file, sync, batch, 2]
    rate, p99 = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout.split()
    return float(rate), float(p99)


def redis_xadd(clients: int, calls: int) -> float:
    command = ["redis-benchmark", "-p", REDIS_PORT, "-c", clients, "-n", calls, "-q", "--csv"]
    command += ["XADD", "bare", "*", "a", "sender", "t", "x" * 32]
    answer = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout
    return float(answer.strip().splitlines()[-1].split(",")[-7].strip('"'))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", type=Path, default=HERE.parents[1] / ".build" / "release" / "messenger-server")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk to be measured")
    arguments = parser.parse_args()
    compile = ["cc", "-O2", "-Wall", "-Wextra", "-o", OUT / "bare_sqlite", HERE / "bare_sqlite.c", "-lsqlite3"]
    subprocess.run(list(map(str, compile)), check=True)
    folder = Path(tempfile.mkdtemp(prefix="messenger-bench-", dir=arguments.folder))
    results: dict[str, list] = {}

    def note(name: str, *values: float) -> None:
        results.setdefault(name, []).append(values)

    redis = ["redis-server", "--port", REDIS_PORT, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"]
    try:
        with Running(redis, REDIS_PORT):
            for round in range(arguments.rounds):
                for batch in (1, 100):
                    for sync in ("full", "normal"):
                        note(f"bare SQLite loop, {sync}, {batch} a commit", *bare(folder, sync, batch), 0)
                for clients in (1, 100):
                    note(f"redis-benchmark XADD, {clients} clients", redis_xadd(clients, 20_000 * min(clients, 5)), 0, 0)
                for senders, calls in (1, 3_000), (100, 40_000):
                    for name, history, sync in (
                        ("memory:", "memory:", "full"),
                        ("sqlite:, full", f"sqlite:{folder}/{round}-{senders}-full.db", "full"),
                        ("sqlite:, normal", f"sqlite:{folder}/{round}-{senders}-normal.db", "normal"),
                        ("redis:", f"redis://127.0.0.1:{REDIS_PORT}/bench-{round}-{senders}", "full"),
                    ):
                        measured = sends(arguments.server, history, sync, senders, calls)
                        note(f"SendMessage, {name}, {senders} senders", *measured)
    finally:
        shutil.rmtree(folder)
    print("| what | a second | p99 | server's CPU |\n|---|---|---|---|")
    for name, rounds in results.items():
        rate, p99, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {name} | {rate:,.0f} | {f'{p99:.2f} ms' if p99 else ''} | {f'{cpu:.0f} µs' if cpu else ''} |")


if __name__ == "__main__":
    main()
