"""Starting: settings, errors in them, and the first log line."""

import re
import socket

import pytest

from support.processes import Program, free_port, one_line
from support.waiting import wait_until

BOTH = ["messenger-server", "messenger-client"]


@pytest.mark.parametrize("name", BOTH)
def test_help_lists_the_settings(launch, name):
    """--help explains flags and variables on standard output, and exits with 0."""
    program = launch.program(name, "--help")
    assert program.exit_code(within=20) == 0
    text = program.log()
    for variable in {
        "messenger-server": ["MESSENGER_SERVER_PORT", "MESSENGER_LOG_LEVEL"],
        "messenger-client": ["MESSENGER_SERVER_ADDR", "MESSENGER_HTTP_PORT", "MESSENGER_LOG_LEVEL"],
    }[name]:
        assert variable in text
        assert f"--{variable.removeprefix('MESSENGER_').lower().replace('_', '-')}" in text


@pytest.mark.parametrize("name", BOTH)
def test_version(launch, name):
    """--version prints a version and exits with 0."""
    program = launch.program(name, "--version")
    assert program.exit_code(within=20) == 0
    assert re.search(r"\d+\.\d+\.\d+", program.log())


BAD_SETTINGS = [
    ("messenger-server", "MESSENGER_SERVER_PORT", "abc"),
    ("messenger-server", "MESSENGER_SERVER_PORT", "65536"),
    ("messenger-server", "MESSENGER_SERVER_PORT", "-1"),
    ("messenger-server", "MESSENGER_SERVER_PORT", "51075 "),
    ("messenger-server", "MESSENGER_SERVER_PORT", "5e4"),
    ("messenger-server", "MESSENGER_LOG_LEVEL", "loud"),
    ("messenger-server", "MESSENGER_MAX_CONNECTIONS", "0"),
    ("messenger-server", "MESSENGER_MAX_STREAMS", "many"),
    ("messenger-server", "MESSENGER_MAX_CALLS", "99999999999999999999"),
    ("messenger-client", "MESSENGER_HTTP_CONNECTIONS", "0"),
    ("messenger-client", "MESSENGER_HTTP_IDLE_TIMEOUT", "60"),
    ("messenger-client", "MESSENGER_HTTP_REQUEST_TIMEOUT", "0s"),
    ("messenger-server", "MESSENGER_HISTORY", "file:x"),
    ("messenger-server", "MESSENGER_HISTORY", "sqlite:"),
    ("messenger-server", "MESSENGER_HISTORY", "rediss://localhost"),
    ("messenger-server", "MESSENGER_HISTORY_SYNC", "sometimes"),
    ("messenger-server", "MESSENGER_HISTORY_KEEP_AGE", "7"),
    ("messenger-client", "MESSENGER_HTTP_PORT", "http"),
    ("messenger-client", "MESSENGER_HTTP_PORT", "99999999999999999999"),
    ("messenger-client", "MESSENGER_SERVER_ADDR", "localhost:port"),
    ("messenger-client", "MESSENGER_SERVER_ADDR", "localhost:0x1"),
    ("messenger-client", "MESSENGER_LOG_LEVEL", "7"),
]


@pytest.mark.parametrize(("name", "variable", "value"), BAD_SETTINGS)
def test_a_bad_variable_stops_the_start(launch, name, variable, value):
    """One line names the variable and the value, and the exit code is 78 (EX_CONFIG).

    It does not quote a value that may hold a password.
    """
    line = one_line(launch.program(name, **{variable: value}), 78)
    assert variable in line
    assert value in line or variable == "MESSENGER_HISTORY"


@pytest.mark.parametrize(("name", "variable", "value"), BAD_SETTINGS)
def test_a_bad_flag_stops_the_start(launch, name, variable, value):
    """One line names the flag, and the exit code is 64 (EX_USAGE)."""
    flag = f"--{variable.removeprefix('MESSENGER_').lower().replace('_', '-')}"
    line = one_line(launch.program(name, f"{flag}={value}"), 64)
    assert flag in line


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"]])
def test_an_unknown_argument_stops_the_start(launch, name, arguments):
    """One line, and exit code 64 (EX_USAGE)."""
    assert "nonsense" in one_line(launch.program(name, *arguments), 64)


def test_a_flag_wins_over_its_variable(launch):
    """The server listens at --server-port, whatever MESSENGER_SERVER_PORT says."""
    port = free_port()
    server = launch.server("--server-port", str(port))
    server.port = port
    server.wait_ready()


def test_an_empty_variable_is_not_set(launch):
    """Compose passes unset variables as empty ones. The default applies."""
    server = launch.server(MESSENGER_LOG_LEVEL="").wait_ready()
    launch.client(server.address, MESSENGER_LOG_LEVEL="").wait_ready()


def test_the_start_is_one_line(launch):
    """Each program logs what it is and where it listens, and nothing else while it is idle."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    for program, facts in (server, [server.port]), (client, [client.port, server.address]):
        line = wait_until(program.log, "the first line of the log").splitlines()[0]
        assert re.search(r"\d+\.\d+\.\d+", line.partition(" ")[2]), line
        assert all(str(fact) in line for fact in facts), line


def says_that_the_port_is_taken(program: Program, port: int) -> None:
    """The program ends with 69 (EX_UNAVAILABLE) and one line that names the port."""
    assert program.exit_code(within=20) == 69
    lines = program.log().splitlines()
    complaints = [line for line in lines if " info " not in line]
    assert len(complaints) == 1 and str(port) in complaints[0], lines


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::"])
def test_a_taken_port_stops_the_server(launch, address):
    """Whatever address the other program uses."""
    with _listener(address) as port:
        says_that_the_port_is_taken(launch.program("messenger-server", MESSENGER_SERVER_PORT=port), port)


def test_a_second_server_does_not_share_the_port(launch):
    """Two servers on one port would share its calls."""
    server = launch.server().wait_ready()
    says_that_the_port_is_taken(launch.program("messenger-server", MESSENGER_SERVER_PORT=server.port), server.port)


def test_a_taken_port_stops_the_client(launch):
    """The same for the client's HTTP port."""
    server = launch.server().wait_ready()
    with _listener("0.0.0.0") as port:
        program = launch.program("messenger-client", MESSENGER_HTTP_PORT=port, MESSENGER_SERVER_ADDR=server.address)
        says_that_the_port_is_taken(program, port)


class _listener:
    """The listening socket of another program."""

    def __init__(self, address: str):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family)
        self._socket.bind((address, free_port()))
        self._socket.listen()

    def __enter__(self) -> int:
        return self._socket.getsockname()[1]

    def __exit__(self, *_) -> None:
        self._socket.close()


def test_the_health_check(launch):
    """messenger-server --check-health tells by its exit code whether the server is healthy."""
    server = launch.server().wait_ready()
    check = launch.program("messenger-server", "--check-health", MESSENGER_SERVER_PORT=server.port)
    assert check.exit_code(within=20) == 0
    server.stop()
    check = launch.program("messenger-server", "--check-health", MESSENGER_SERVER_PORT=server.port)
    assert check.exit_code(within=20) == 1


def check_client(launch, port: int):
    return launch.program("messenger-client", "--check-health", MESSENGER_HTTP_PORT=port)


def test_the_health_check_of_the_client(launch):
    """messenger-client --check-health tells by its exit code whether the client answers, though its server is down."""
    client = launch.client(f"127.0.0.1:{free_port()}")
    wait_until(lambda: "listening" in client.log(), "the client listens")
    assert check_client(launch, client.port).exit_code(within=20) == 0
    client.stop()
    assert f"The client at *:{client.port} does not answer" in one_line(check_client(launch, client.port), 1)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"])
def test_the_health_check_of_a_client_that_does_not_answer_well(launch, answer):
    """A closed connection and another status than 200 are not healthy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        check = check_client(launch, listener.getsockname()[1])
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(answer)
        one_line(check, 1)
