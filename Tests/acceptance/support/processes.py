"""The programs under test as processes."""

import atexit
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from support import usage
from support.http import HTTPClient
from support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]

#: Where the programs are.
PROGRAMS = ROOT / os.environ.get("MESSENGER_TEST_BIN", ".build/debug")


#: Where servers keep their history, unless a test says: "memory", "sqlite" (a file for each port), or
#: "redis://HOST:PORT" (a key for each port).
HISTORY = os.environ.get("MESSENGER_TEST_HISTORY", "memory")


class Histories:
    """Where servers keep their histories. All are removed at the end."""

    _folder: Path | None = None
    _keys: dict[int, str] = {}

    @classmethod
    def location(cls, port: int, is_restart: bool) -> str:
        """The setting for a server. A server at the port of an earlier one continues its history."""
        if HISTORY == "memory":
            return "memory:"
        if HISTORY.startswith("redis://"):
            if not is_restart:
                cls._keys[port] = f"test-{uuid.uuid4().hex[:12]}"
            return f"{HISTORY}/{cls._keys[port]}"
        if cls._folder is None:
            cls._folder = Path(tempfile.mkdtemp(prefix="messenger-history-"))
            atexit.register(shutil.rmtree, cls._folder, ignore_errors=True)
        if not is_restart:
            for file in cls._folder.glob(f"{port}.db*"):
                file.unlink()
        return f"sqlite:{cls._folder / f'{port}.db'}"


def _ports() -> Iterator[int]:
    """Ports below the range from which the system takes ports for connections, for this worker of pytest's alone."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    ports = range(10_000 + 2_750 * worker, 10_000 + 2_750 * (worker + 1))
    begin = random.randrange(len(ports))
    return itertools.cycle([*ports[begin:], *ports[:begin]])


_PORTS = _ports()


def free_port() -> int:
    """A port that nobody listens on, and that this run has not used for long."""
    for port in _PORTS:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("0.0.0.0", port))
            return port
    raise AssertionError("unreachable: the ports begin again")


class Program:
    """A running messenger-server or messenger-client, its log in a file."""

    #: Those that have been started and not closed, for the logs of a failed test.
    open: list["Program"] = []

    def __init__(
        self,
        name: str,
        *arguments: str,
        file_descriptors: int | None = None,
        runner: Sequence[str] = (),
        **settings: object,
    ):
        """Starts the program with these settings alone: no MESSENGER_ variable comes in from outside.

        `file_descriptors` is how many it may have open; `runner` a command that becomes the program.
        """
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MESSENGER_")}
        environment.update({key: str(value) for key, value in settings.items()})
        self.name = name
        self._log = tempfile.NamedTemporaryFile(prefix=f"{name}-", suffix=".log")
        command = [*runner, str(PROGRAMS / name), *arguments]
        if file_descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {file_descriptors} && exec "$@"', "sh", *command]
        #: Just before the program's start, in nanoseconds since 1970.
        self.started = time.time_ns()
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        Program.open.append(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        """What the program has logged so far."""
        wait_until(lambda: not usage.writes_log(self.pid), "the log is written")
        return Path(self._log.name).read_text(errors="replace")

    def last_lines(self) -> str:
        """The end of the log, for a failed test."""
        return "\n".join(self.log().splitlines()[-40:])

    def cpu_seconds(self) -> float:
        """The processor time that the program has used so far."""
        return usage.cpu_seconds(self.pid)

    def resident_bytes(self) -> int:
        """The memory that the program has in use."""
        return usage.resident_bytes(self.pid)

    def file_descriptors(self) -> int:
        """How many files and sockets the program has open."""
        return usage.file_descriptors(self.pid)

    def exit_code(self, within: float) -> int:
        """Waits for the program's end. A negative number means that a signal ended it."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is still running after {within:g} s\n{self.log()}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 5) -> float:
        """Stops the program, which must end with exit code 0. Returns the seconds until then."""
        began = time.monotonic()
        self._process.send_signal(number)
        code = self.exit_code(within)
        assert code == 0, f"{self.name} ended with {code} after {number.name}\n{self.log()}"
        return time.monotonic() - began

    def reread(self, said: str) -> str:
        """Lets the program read its files again. Returns the new line of its log that has `said` in it."""
        before = self.log().count(said)
        self._process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log().count(said) > before, f"the log says {said}")
        return [line for line in self.log().splitlines() if said in line][-1]

    def kill(self) -> None:
        """Ends the program at once, like a power cut."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stops the process. Its connections stay open, but nothing is read or sent."""
        self._process.send_signal(signal.SIGSTOP)
        # Its threads stop a little later.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        self._log.close()
        Program.open.remove(self)


def one_line(program: Program, *codes: int) -> str:
    """The program must end by itself with one of these exit codes, after exactly one line. Returns the line."""
    code = program.exit_code(within=20)
    lines = program.log().splitlines()
    assert code in codes, f"exit code {code}: {lines}"
    assert len(lines) == 1, lines
    return lines[0]


class Server(Program):
    def __init__(self, *arguments: str, port: int | None = None, **settings: object):
        """A `port` is that of a server that ended, whose history this one goes on with if it outlived it."""
        self.port = port or free_port()
        self.address = f"localhost:{self.port}"
        #: The unix socket that it listens on too, if there is one.
        self.socket = settings.get("MESSENGER_SERVER_SOCKET")
        if "MESSENGER_HISTORY_FILE" not in settings:
            settings.setdefault("MESSENGER_HISTORY", Histories.location(self.port, is_restart=port is not None))
        super().__init__("messenger-server", *arguments, MESSENGER_SERVER_PORT=self.port, **settings)

    def connections(self) -> int:
        """The number of accepted connections that neither side has closed."""
        return usage.connections(self.port)

    def wait_ready(self) -> "Server":
        wait_until(lambda: _listens(self), f"the server listens on {self.port}")
        if self.socket:
            wait_until(lambda: _listens_at(str(self.socket)), f"the server listens on {self.socket}")
        return self


class Client(Program):
    def __init__(self, server: str, *arguments: str, port: int | None = None, **settings: object):
        self.port = port or free_port()
        self.http = HTTPClient(f"localhost:{self.port}")
        super().__init__(
            "messenger-client",
            *arguments,
            MESSENGER_SERVER_ADDR=server,
            MESSENGER_HTTP_PORT=self.port,
            **settings,
        )

    def wait_ready(self) -> "Client":
        """Waits until the client's stream is open."""
        self.wait_live()
        wait_until(lambda: self._asked("/readyz"), "the client's /readyz says 200")
        return self

    def wait_live(self) -> "Client":
        """Waits until the client answers HTTP, with or without a server."""
        wait_until(lambda: _listens(self), f"the client listens on {self.port}")
        wait_until(lambda: self._asked("/healthz"), "the client's /healthz says 200")
        return self

    def _asked(self, path: str) -> bool:
        assert self.running, f"{self.name} ended\n{self.log()}"
        return self.http.request("GET", path).status == 200


def _listens(program: Server | Client) -> bool:
    assert program.running, f"{program.name} ended\n{program.log()}"
    try:
        socket.create_connection(("127.0.0.1", program.port), timeout=1).close()
    except OSError:
        return False
    return True


def _listens_at(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as peer:
        try:
            peer.connect(path)
        except PermissionError:
            return True
        except OSError:
            return False
        return True
