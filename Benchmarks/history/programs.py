"""The programs that are measured, and those that measure."""

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / ".build" / "bench"
SERVER = ROOT / ".build" / "release" / "messenger-server"
#: The servers of one room have this port and those after it.
PORT, REDIS_PORT = 18_777, 18_770


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
            list(map(str, command)),
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self._process.pid
        wait_for(port)

    def cpu_seconds(self) -> float:
        """The processor time that it has taken, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


def redis(folder: Path) -> Running:
    """A Redis in memory alone: what is measured is not its disk."""
    command = ["redis-server", "--port", REDIS_PORT, "--bind", "127.0.0.1", "--dir", folder]
    return Running([*command, "--save", "", "--appendonly", "no"], REDIS_PORT)


def redis_history(key: str) -> str:
    return f"redis://127.0.0.1:{REDIS_PORT}/{key}"


@contextmanager
def servers(program: Path, count: int, history: str, sync: str = "full") -> Iterator[list[Running]]:
    """So many servers of one room."""
    with ExitStack() as stack:
        settings = {"MESSENGER_HISTORY": history, "MESSENGER_HISTORY_SYNC": sync}
        yield [
            stack.enter_context(Running([program], port, MESSENGER_SERVER_PORT=str(port), **settings))
            for port in range(PORT, PORT + count)
        ]


def output(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


def load(mode: str, running: list[Running], **options: int) -> dict:
    """What the load program says of its load on these servers, which it spreads evenly."""
    command = [OUT / "messenger-load", mode, "--port", PORT, "--servers", len(running)]
    for server in running:
        command += ["--pid", server.pid]
    for name, value in options.items():
        command += [f"--{name}", value]
    return json.loads(output(*command))


def bare_sqlite(folder: Path, sync: str, how: str, number: int) -> tuple[float, float]:
    """Messages a second, and the 99th percentile of a commit, or of what a sender waits, in ms: see bare_sqlite.c."""
    file = folder / f"bare-{sync}-{how}-{number}-{time.monotonic_ns()}.db"
    rate, p99 = output(OUT / "bare_sqlite", file, sync, how, number, 2).split()
    return float(rate), float(p99)


def redis_benchmark(clients: int, pipelined: int, calls: int) -> float:
    """XADD of redis-benchmark's own, a second."""
    command = ["redis-benchmark", "-p", REDIS_PORT, "-c", clients, "-P", pipelined, "-n", calls, "-q", "--csv"]
    answer = output(*command, "XADD", "bare", "*", "a", "sender", "t", "x" * 32)
    return float(answer.strip().splitlines()[-1].split(",")[-7].strip('"'))
