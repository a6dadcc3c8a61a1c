"""The addresses that the programs listen on: IPv4 and IPv6, loopback, and what the log says of them."""

import re
import socket

import pytest

from support.processes import ROOT, Program, free_port, one_line
from support.waiting import wait_until


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def own_address() -> str | None:
    """An IPv4 address of this machine outside loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def listening(program: Program) -> list[str]:
    """The addresses in the log."""
    line = wait_until(
        lambda: next((line for line in program.log().splitlines() if ": listening" in line), None), "it listens"
    )
    return re.search(r" address=(\S+)", line)[1].split(",")


def reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


BOTH = ["messenger-server", "messenger-client"]
HOST = {"messenger-server": "MESSENGER_SERVER_HOST", "messenger-client": "MESSENGER_HTTP_HOST"}
PORT = {"messenger-server": "MESSENGER_SERVER_PORT", "messenger-client": "MESSENGER_HTTP_PORT"}
ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")

#: Each host, the addresses that the log names, and whether the two loopback addresses are served.
HOSTS = [
    (None, ["0.0.0.0", "[::]"], True, True),
    ("*", ["0.0.0.0", "[::]"], True, True),
    ("127.0.0.1", ["127.0.0.1"], True, False),
    ("0.0.0.0", ["0.0.0.0"], True, False),
    ("::1", ["[::1]"], False, True),
    ("[::1]", ["[::1]"], False, True),
    ("::", ["[::]"], False, True),
]


@ipv6
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(("host", "addresses", "v4", "v6"), HOSTS)
def test_listening_at_the_configured_host(launch, name, host, addresses, v4, v6):
    """Exactly the addresses in the log are served."""
    port = free_port()
    program = launch.program(name, **{PORT[name]: port}, **({HOST[name]: host} if host else {}))
    assert listening(program) == [f"{address}:{port}" for address in addresses]
    assert (reaches("127.0.0.1", port), reaches("::1", port)) == (v4, v6)
    own = own_address()
    assert not own or reaches(own, port) == (host in (None, "*", "0.0.0.0"))


@pytest.mark.parametrize("name", BOTH)
def test_listening_on_localhost(launch, name):
    """All addresses of the name are used."""
    port = free_port()
    program = launch.program(name, **{PORT[name]: port, HOST[name]: "localhost"})
    expected = {info[4][0] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    named = {address.rpartition(":")[0].strip("[]") for address in listening(program)}
    assert named and named <= expected
    assert all(reaches(address, port) for address in named)
    own = own_address()
    assert not own or not reaches(own, port)


@ipv6
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("other", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_listening_if_the_port_is_taken_in_one_family(launch, name, other):
    """One line names the port and the setting, and the exit code is 69."""
    with socket.socket(socket.AF_INET6 if ":" in other else socket.AF_INET) as listener:
        if ":" in other:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((other, free_port()))
        listener.listen()
        port = listener.getsockname()[1]
        program = launch.program(name, **{PORT[name]: port})
        assert program.exit_code(within=20) == 69
        line = program.log().splitlines()[-1]
        assert str(port) in line and PORT[name] in line, program.log()


@pytest.mark.parametrize("name", BOTH)
def test_listening_at_an_address_of_another_machine(launch, name):
    """One line names the setting, and the exit code is 69."""
    program = launch.program(name, **{PORT[name]: 0, HOST[name]: "192.0.2.1"})
    assert program.exit_code(within=20) == 69
    assert HOST[name] in program.log().splitlines()[-1]


@pytest.mark.parametrize("name", BOTH)
def test_listening_at_a_name_that_does_not_resolve(launch, name):
    """The line says so, and does not speak of an address."""
    program = launch.program(name, **{PORT[name]: 0, HOST[name]: "nowhere.invalid"})
    assert program.exit_code(within=20) == 69
    line = program.log().splitlines()[-1]
    assert HOST[name] in line and "nowhere.invalid" in line
    # The words of the C library, which knows the name or a name server.
    assert re.search("not known|name resolution|No address associated", line), line


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("host", ["localhost:8080", "[localhost]", "::1]", "1::2::3", "a b", "http://localhost"])
def test_listening_at_an_invalid_host(launch, name, host):
    """One line names the value, and the exit code is 78."""
    assert HOST[name] in one_line(launch.program(name, **{HOST[name]: host}), 78)


@ipv6
@pytest.mark.parametrize("host", ["*", "127.0.0.1", "0.0.0.0", "localhost", "::1", "[::1]", "::"])
def test_the_health_check_asks_where_the_server_listens(launch, host):
    """With the server's variables."""
    settings = {"MESSENGER_SERVER_HOST": host, "MESSENGER_SERVER_PORT": free_port()}
    listening(launch.program("messenger-server", **settings))
    check = launch.program("messenger-server", "--check-health", **settings)
    assert check.exit_code(within=20) == 0, check.log()


def services() -> dict[str, str]:
    """The text of each service in docker-compose.yml, with what it inherits."""
    file = ROOT / "docker-compose.yml"
    if not file.exists():
        pytest.skip("no docker-compose.yml here")
    blocks = re.split(r"^(?:  )?([\w-]+):(?: &([\w-]+))?$", file.read_text(), flags=re.MULTILINE)
    found, anchors = {}, {}
    for name, anchor, text in zip(blocks[1::3], blocks[2::3], blocks[3::3]):
        text += "".join(anchors[taken] for taken in re.findall(r"<<: \*([\w-]+)", text))
        anchors[anchor or name] = text
        # The volumes have names of services.
        found.setdefault(name, text)
    return {name: text for name, text in found.items() if "image:" in text and not name.startswith("x-")}


def test_compose_limits_services_and_publishes_http_on_loopback():
    """Memory and processes are limited. The clients' HTTP is published on the host's loopback only, metrics nowhere."""
    assert len(services()) == 10
    for name, text in services().items():
        assert "mem_limit:" in text and "pids_limit:" in text, name
        assert ("MESSENGER_METRICS_PORT" in text) == name.startswith("server"), name
        assert not re.search(r"ports: .*9464", text), name
        for ports in re.findall(r'ports: \["(.*):8080"\]', text):
            assert ports.startswith("${MESSENGER_HTTP_PUBLISH:-127.0.0.1}:"), name
        assert ("8080" in text) == name.startswith("client") or name == "tests", name
