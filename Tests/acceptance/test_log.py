"""The log's reader can neither stop nor delay a program, whether it blocks, closes or disappears."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from support.api import connected, pb, reading, stub
from support.processes import PROGRAMS, free_port
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("own_programs")


class Logging:
    """A program with standard streams that a test chooses."""

    def __init__(self, name: str, *arguments: str, prefix: str = "", stdout=None, stderr=None, **settings: object):
        self.port = free_port()
        variable = "MESSENGER_SERVER_PORT" if name == "messenger-server" else "MESSENGER_HTTP_PORT"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MESSENGER_")}
        environment |= {variable: str(self.port)} | {key: str(value) for key, value in settings.items()}
        command = ["sh", "-c", f'{prefix} exec "$@"', "sh", str(PROGRAMS / name), *arguments]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def wait_ready(self) -> "Logging":
        wait_until(self._listens, "the program listens")
        return self

    def _listens(self) -> bool:
        assert self.process.poll() is None, f"ended with {self.process.returncode}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def run() -> Iterator:
    running: list[Logging] = []

    def start(*arguments, **options) -> Logging:
        running.append(Logging(*arguments, **options))
        return running[-1]

    yield start
    for program in running:
        program.close()


class PipeEnd(int):
    """A descriptor that can be closed twice. After the first time its number may belong to another file."""

    is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self)


@contextmanager
def pipe(full: bool = False) -> Iterator[tuple[PipeEnd, PipeEnd]]:
    """A pipe, already full if asked for."""
    reader, writer = map(PipeEnd, os.pipe())
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    if full:
        os.write(writer, b"-" * 4095 + b"\n")
    try:
        yield reader, writer
    finally:
        reader.close()
        writer.close()


def talk(port: int) -> None:
    """Sends messages to the server, and reads them."""
    with connected(f"localhost:{port}") as channel, reading(channel) as reader:
        for index in range(20):
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=str(index)), timeout=20)
        assert [message.text for message in reader.take(20)] == [str(index) for index in range(20)]


NAMES = ["messenger-server", "messenger-client"]
NOBODY = "localhost:1"


@pytest.mark.parametrize("history", ["memory:", "sqlite"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_whose_log_is_closed_stops_cleanly(run, tmp_path, history, number):
    """`messenger-server 2>&1 | tee log` and Ctrl-C, which ends tee first."""
    location = history if history == "memory:" else f"sqlite:{tmp_path / 'history.db'}"
    with pipe() as (reader, writer):
        server = run("messenger-server", stdout=writer, stderr=writer, MESSENGER_HISTORY=location).wait_ready()
        reader.close()
        writer.close()
        talk(server.port)
        assert server.stop(number) == 0
    assert not list(tmp_path.glob("*-wal"))


def test_a_client_whose_log_is_closed_stops_cleanly(run):
    with pipe() as (reader, writer):
        client = run("messenger-client", stdout=writer, stderr=writer, MESSENGER_SERVER_ADDR=NOBODY).wait_ready()
        reader.close()
        writer.close()
        assert client.stop(signal.SIGINT) == 0


def test_a_blocked_log_delays_no_message(run):
    """With debug lines for each call, messages pass and the stop is clean. The queued lines follow in order."""
    with pipe(full=True) as (reader, writer):
        server = run("messenger-server", stderr=writer, MESSENGER_LOG_LEVEL="debug").wait_ready()
        talk(server.port)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5


def test_a_client_with_a_blocked_log(run):
    with pipe(full=True) as (_, writer):
        client = run("messenger-client", stderr=writer, MESSENGER_SERVER_ADDR=NOBODY).wait_ready()
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert client.stop() == 0


def test_a_log_that_is_read_again_has_every_line_in_order(run):
    with pipe(full=True) as (reader, writer):
        server = run("messenger-server", stderr=writer, MESSENGER_LOG_LEVEL="debug").wait_ready()
        writer.close()
        talk(server.port)
        server.process.send_signal(signal.SIGTERM)
        log = b""
        while part := os.read(reader, 65536):
            log += part
        assert server.process.wait(10) == 0
    lines = log.decode().splitlines()[1:]
    # A call may be logged before that the server listens.
    assert sum("info messenger-server: listening" in line for line in lines) == 1
    assert lines[-1].split(": ")[1].startswith("stopped")
    assert sum("SendMessage" in line for line in lines) == 20
    times = [line.split()[0] for line in lines]
    assert times == sorted(times)


@pytest.mark.parametrize("name", NAMES)
def test_an_error_at_the_start_does_not_wait_for_the_log(run, name):
    with pipe(full=True) as (_, writer):
        began = time.monotonic()
        program = run(name, stderr=writer, MESSENGER_LOG_LEVEL="loud")
        assert program.process.wait(20) == 78
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "prefix",
    ["exec >&- 2>&-;", "exec <&- >&- 2>&-;", "exec >/dev/full 2>&1;", "ulimit -f 1; exec >log 2>&1;"],
    ids=["closed", "all closed", "full", "limit"],
)
def test_closed_and_full_standard_streams(run, tmp_path, prefix):
    """No log line ends up in the history or at a peer, in place of a closed stream."""
    setting = {"MESSENGER_LOG_LEVEL": "debug"}
    if "ulimit" not in prefix:
        setting["MESSENGER_HISTORY"] = f"sqlite:{tmp_path / 'history.db'}"
    server = run("messenger-server", prefix=f"cd {tmp_path}; {prefix}", **setting).wait_ready()
    for _ in range(5):
        talk(server.port)
    for descriptor in range(3):
        target = os.readlink(f"/proc/{server.process.pid}/fd/{descriptor}")
        assert target in ("/dev/null", "/dev/full", str(tmp_path / "log")), target
    assert server.stop() == 0
    client = run("messenger-client", prefix=f"cd {tmp_path}; {prefix}", MESSENGER_SERVER_ADDR=NOBODY).wait_ready()
    assert client.stop() == 0


def test_a_closed_terminal(run):
    ours, theirs = pty.openpty()
    server = run("messenger-server", stdout=theirs, stderr=theirs, MESSENGER_LOG_LEVEL="debug").wait_ready()
    os.close(theirs)
    os.close(ours)
    talk(server.port)
    assert server.stop() == 0


def open_terminal(name: str, run, prefix: str = "") -> tuple[Logging, int]:
    """A program with its own terminal, which ends when the other side is closed."""
    ours, theirs = pty.openpty()
    line = os.ttyname(theirs)
    program = run(name, prefix=f'exec <"{line}" >"{line}" 2>&1;' + prefix)
    os.close(theirs)
    return program.wait_ready(), ours


@pytest.mark.parametrize("name", NAMES)
def test_sighup_of_a_terminal_stops_its_programs_cleanly(run, name):
    program, terminal = open_terminal(name, run)
    os.close(terminal)
    assert program.process.wait(10) == 0


def test_a_program_under_nohup_continues(run):
    server, terminal = open_terminal("messenger-server", run, "trap '' HUP;")
    os.close(terminal)
    server.process.send_signal(signal.SIGHUP)
    talk(server.port)
    assert server.stop() == 0


@pytest.mark.parametrize("name", NAMES)
def test_flags_of_shared_streams_do_not_change(run, name):
    """The shell and other programs write to them too."""
    with pipe() as (reader, writer):
        program = run(name, stdout=writer, stderr=writer, MESSENGER_SERVER_ADDR=NOBODY).wait_ready()
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        os.set_blocking(writer, False)
        assert program.stop() == 0
        writer.close()
        log = b""
        while part := os.read(reader, 65536):
            log += part
    assert b"stopped" in log.splitlines()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_help_into_a_closed_pipe(name):
    script = f'"{PROGRAMS / name}" --help | head -1; exit "${{PIPESTATUS[0]}}"'
    result = subprocess.run(["bash", "-c", script], capture_output=True, timeout=20)
    assert result.returncode in (0, 128 + signal.SIGPIPE) and not result.stderr
    assert result.stdout.startswith(b"OVERVIEW")


def test_text_of_a_server_is_escaped_in_the_log(launch):
    """Line breaks and invisible characters in its error are escaped in the client's log."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, _):
            return grpc.unary_stream_rpc_method_handler(
                lambda _, context: context.abort(grpc.StatusCode.INTERNAL, "words\n\u202etxt.exe\u2066\u200b words")
            )

    server = grpc.server(ThreadPoolExecutor())
    server.add_generic_rpc_handlers([Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        client = launch.client(f"localhost:{port}").wait_live()
        wait_until(lambda: "words" in client.log(), "the client says what the server said")
    finally:
        server.stop(None)
    lines = [line for line in client.log().split("\n") if "words" in line]
    assert all(r"words\n\u{202E}txt.exe\u{2066}\u{200B} words" in line for line in lines), lines


def test_lines_as_json(launch):
    """Each line of both programs is an object, with the keys of the text form."""
    server = launch.server(MESSENGER_LOG_FORMAT="json")
    wait_until(lambda: '"message":"listening"' in server.log(), "the server listens")
    client = launch.client(server.address, MESSENGER_LOG_FORMAT="json")
    wait_until(lambda: '"message":"stream open"' in client.log(), "the stream is open")
    for program in server, client:
        program.stop()
        for line in program.log().splitlines():
            event = json.loads(line)
            assert list(event)[:4] == ["time", "level", "program", "message"]
            assert event["program"] == program.name and all(isinstance(value, str) for value in event.values())
