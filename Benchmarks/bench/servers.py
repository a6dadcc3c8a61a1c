"""The programs that are compared, and running one of them."""

import os
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / ".build" / "bench"
PEERS = ROOT / "Benchmarks" / "peers"
# The tests' virtual environment, which has grpcio.
PYTHON = ROOT / ".build" / "venv" / "bin" / "python"


class BenchmarkError(Exception):
    """A run that does not count, and why."""


@dataclass(frozen=True)
class Server:
    name: str
    command: list[str]
    # What Benchmarks/build.sh builds for it.
    program: str | None = None
    # How much of a load it gets: the slow ones would take minutes for what others do in a second.
    share: float = 1
    port_variable: str = "MESSENGER_SERVER_PORT"
    environment: dict[str, str] = field(default_factory=dict)
    kind: str = "grpc"
    # The server that it is a client of.
    backend: "Server | None" = None


def servers(ours: Path) -> dict[str, Server]:
    """All of them by name, ours first; `ours` is the folder of our programs."""
    list_of_all = [
        Server("messenger", [str(ours / "messenger-server")]),
        Server("cpp-core", [str(OUT / "cpp-core")], "cpp-core"),
        Server("cpp-core-corked", [str(OUT / "cpp-core"), "--cork"], "cpp-core"),
        Server("cpp-callback", [str(OUT / "cpp-callback")], "cpp-callback"),
        Server("grpc-go", [str(OUT / "grpc-go")], "grpc-go"),
        Server("grpc-swift-2", [str(OUT / "grpc-swift")], "grpc-swift", share=0.3),
        Server("grpc-swift-2-router", [str(OUT / "grpc-swift"), "--concrete-router"], "grpc-swift", share=0.3),
        Server("python-grpcio", [str(PYTHON), str(PEERS / "python-grpcio" / "server.py")], share=0.03),
    ]
    list_of_all += [
        Server(
            "messenger-client",
            [str(ours / "messenger-client")],
            port_variable="MESSENGER_HTTP_PORT",
            kind="http",
            backend=list_of_all[0],
        ),
        Server(
            "hummingbird-bare",
            [str(OUT / "hummingbird-bare")],
            "hummingbird-bare",
            port_variable="MESSENGER_HTTP_PORT",
            environment={"LOG_LEVEL": "error"},
            kind="http",
        ),
    ]
    return {server.name: server for server in list_of_all}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass(frozen=True)
class Running:
    pid: int
    port: int
    backend: "Running | None" = None

    def cpu_seconds(self) -> float:
        """User and system time of all threads, in nanoseconds' resolution: what /proc/PID/stat has in hundredths."""
        process_clock = (~self.pid << 3) | 2
        return time.clock_gettime(process_clock)


@contextmanager
def running(server: Server, **more_environment: str):
    """Runs the server on a free port from when it listens until the block ends; its backend too, if it has one."""
    with ExitStack() as stack:
        backend = None
        if server.backend:
            backend = stack.enter_context(running(server.backend))
            more_environment["MESSENGER_SERVER_ADDR"] = f"127.0.0.1:{backend.port}"
        yield stack.enter_context(running_alone(server, backend, more_environment))


@contextmanager
def running_alone(server: Server, backend: Running | None, more_environment: dict[str, str]):
    port = free_port()
    environment = os.environ | server.environment | more_environment | {server.port_variable: str(port)}
    log_path = OUT / f"{server.name}.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            server.command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=OUT
        )
    try:
        await_port(port, process, log_path)
        yield Running(process.pid, port, backend)
        if process.poll() is not None:
            raise BenchmarkError(f"{server.name} has ended by itself: see {log_path}")
    finally:
        stop(process)


def await_port(port: int, process: subprocess.Popen, log_path: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchmarkError(f"{process.args[0]} does not listen: see {log_path}")


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
