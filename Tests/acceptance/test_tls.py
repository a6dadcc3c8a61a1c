"""TLS and mutual TLS: grpcurl, grpcio and the client's program against a server with a certificate."""

import re
import socket
import ssl
import subprocess

import pytest

from support.api import connected, pb, stub
from support.processes import one_line
from support.tls import CERTIFICATES, MUTUAL, SERVER, TRUST, credentials, identity
from support.tools import run_grpcurl, tool
from support.waiting import wait_until


def as_grpcurl(name: str | None = None) -> list[str]:
    """The options with which grpcurl trusts the server, and shows a certificate if it has one."""
    options = ["-cacert", str(CERTIFICATES / "authority.pem")]
    if name:
        options += ["-cert", str(CERTIFICATES / f"{name}.pem"), "-key", str(CERTIFICATES / f"{name}.key")]
    return options


def refused(*arguments: str) -> str:
    """What grpcurl says when it cannot connect."""
    command = [tool("grpcurl"), "-connect-timeout", "5", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_grpcurl_over_tls(launch):
    """grpcurl trusts the server by its authority, and needs no .proto file."""
    server = launch.server(**SERVER).wait_ready()
    assert "mes_grpc.MessengerServer" in run_grpcurl(*as_grpcurl(), server.address, "list")
    answer = run_grpcurl(
        *as_grpcurl(), "-d", '{"author":"Ann","text":"hidden"}', server.address, "mes_grpc.MessengerServer/SendMessage"
    )
    assert "sendTime" in answer


def test_grpcurl_without_tls_is_refused(launch):
    server = launch.server(**SERVER).wait_ready()
    refused("-plaintext", server.address, "list")
    assert "certificate" in refused(server.address, "list"), "an authority that it does not trust"


def test_grpcurl_over_mutual_tls(launch):
    server = launch.server(**MUTUAL).wait_ready()
    assert "mes_grpc.MessengerServer" in run_grpcurl(*as_grpcurl("client"), server.address, "list")


@pytest.mark.parametrize("name", [None, "stranger"])
def test_grpcurl_without_a_good_certificate_is_refused(launch, name):
    server = launch.server(**MUTUAL).wait_ready()
    refused(*as_grpcurl(name), server.address, "list")
    run_grpcurl(*as_grpcurl("client"), server.address, "list")


@pytest.mark.parametrize("name", [None, "client"])
def test_python_over_tls(launch, name):
    server = launch.server(**(MUTUAL if name else SERVER)).wait_ready()
    with connected(server.address, credentials(name)) as channel:
        answer = stub(channel).SendMessage(pb.SendMessageRequest(author="Ann", text="hi"), timeout=30)
        assert answer.HasField("sendTime")


@pytest.mark.parametrize("server_settings", [SERVER, MUTUAL], ids=["TLS", "mutual TLS"])
def test_the_client_follows_a_server_with_tls(launch, server_settings):
    """The client's program sends and receives as it does without."""
    server = launch.server(**server_settings).wait_ready()
    own = identity("client") if server_settings is MUTUAL else {}
    client = launch.client(server.address, **TRUST, **own).wait_ready()
    client.http.send("Ann", "hidden")
    assert [message["text"] for message in client.http.flush()] == ["hidden"]


@pytest.mark.parametrize(
    "own", [{}, TRUST, TRUST | identity("stranger")], ids=["insecure", "no certificate", "stranger"]
)
def test_the_client_without_what_the_server_wants_does_not_get_in(launch, own):
    """It says so, stays alive and not ready; another one with the right settings gets in."""
    server = launch.server(**MUTUAL).wait_ready()
    client = launch.client(server.address, **own).wait_live()
    wait_until(lambda: "stream not open yet" in client.log(), "a line that says so")
    assert client.http.request("GET", "/readyz").status == 503
    launch.client(server.address, **TRUST, **identity("client")).wait_ready()


def test_the_health_check_goes_by_the_socket(launch, tmp_path):
    """With TLS the check needs MESSENGER_SERVER_SOCKET, since it has no certificate to show."""
    socket = tmp_path / "messenger.sock"
    settings = MUTUAL | {"MESSENGER_SERVER_SOCKET": socket}
    server = launch.server(**settings).wait_ready()
    check = launch.program("messenger-server", "--check-health", MESSENGER_SERVER_PORT=server.port, **settings)
    assert check.exit_code(within=20) == 0, check.log()
    assert "mes_grpc.MessengerServer" in run_grpcurl("-plaintext", "-unix", str(socket), "list")
    check = launch.program("messenger-server", "--check-health", MESSENGER_SERVER_PORT=server.port, **MUTUAL)
    assert "MESSENGER_SERVER_SOCKET" in one_line(check, 78)


CERTIFICATE, KEY, AUTHORITY = CERTIFICATES / "server.pem", CERTIFICATES / "server.key", CERTIFICATES / "authority.pem"
BAD_FILES = [
    ("messenger-server", {"MESSENGER_TLS_CERT": CERTIFICATE}, "MESSENGER_TLS_KEY must be set together"),
    ("messenger-server", {"MESSENGER_TLS_CLIENT_CA": AUTHORITY}, "needs MESSENGER_TLS_CERT"),
    (
        "messenger-server",
        SERVER | {"MESSENGER_TLS_KEY": "/nowhere"},
        "MESSENGER_TLS_KEY: reading /nowhere: No such file",
    ),
    ("messenger-server", SERVER | {"MESSENGER_TLS_KEY": CERTIFICATE}, "no key without a password in"),
    ("messenger-server", SERVER | {"MESSENGER_TLS_CERT": KEY}, "no certificate in"),
    ("messenger-client", identity("client"), "MESSENGER_TLS_CERT needs MESSENGER_TLS_CA"),
    ("messenger-client", {"MESSENGER_TLS_CA": "/nowhere"}, "MESSENGER_TLS_CA: reading /nowhere: No such file"),
    ("messenger-client", {"MESSENGER_TLS_CA": KEY}, "MESSENGER_TLS_CA: there is no certificate in"),
]


@pytest.mark.parametrize(("name", "settings", "sentence"), BAD_FILES)
def test_files_that_cannot_be_used_stop_the_start(launch, name, settings, sentence):
    """One line that says what to change, and exit code 78 (EX_CONFIG)."""
    line = one_line(launch.program(name, **settings), 78)
    assert sentence in line and "PRIVATE" not in line


def test_a_key_of_another_certificate_stops_the_start(launch):
    """As above, but it is the core that finds it, and says more in a line of its own."""
    server = launch.server(**SERVER | {"MESSENGER_TLS_KEY": CERTIFICATES / "client.key"})
    assert server.exit_code(within=20) == 78
    lines = server.log().splitlines()
    assert "certificate and key" in lines[-1] and lines[-1].startswith("Error: ")
    assert "PRIVATE" not in server.log()


def test_a_socket_that_cannot_be_stops_the_start(launch):
    line = one_line(launch.server(MESSENGER_SERVER_SOCKET="/nowhere/messenger.sock"), 69)
    assert "unix:/nowhere/messenger.sock: No such file or directory" in line


def shake_hands(port: int, certificate: str | None = None, trusts: bool = True) -> None:
    """Connects as a TLS client that shows a certificate, or none, and ends."""
    context = ssl.create_default_context(cafile=CERTIFICATES / "authority.pem" if trusts else None)
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(CERTIFICATES / f"{certificate}.pem", CERTIFICATES / f"{certificate}.key")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="localhost") as secure:
                secure.recv(1000)
                secure.recv(1000)
        except OSError:
            pass


def speak_plainly(port: int) -> None:
    """Sends what a gRPC client without TLS begins with, and waits for the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        try:
            while connection.recv(1000):
                pass
        except OSError:
            pass


def failures(server) -> list[str]:
    return [line for line in server.log().splitlines() if "TLS handshake failed" in line]


@pytest.mark.parametrize(
    ("settings", "connect", "reason"),
    [
        (MUTUAL, lambda port: shake_hands(port), "peer did not return a certificate"),
        (MUTUAL, lambda port: shake_hands(port, "stranger"), "certificate verify failed"),
        (SERVER, lambda port: shake_hands(port, trusts=False), "unknown ca"),
        (SERVER, speak_plainly, "the client does not speak TLS"),
        (MUTUAL, speak_plainly, "the client does not speak TLS"),
    ],
    ids=["no certificate", "stranger", "does not trust us", "plain text", "plain text, mutual"],
)
def test_a_refused_client_leaves_one_line(launch, settings, connect, reason):
    server = launch.server(**settings).wait_ready()
    connect(server.port)
    lines = wait_until(lambda: failures(server), "the line")
    assert len(lines) == 1 and " info " in lines[0] and reason in lines[0], lines
    assert re.search(r"peer=.*ipv[46]:\S*127\.0\.0\.1", lines[0]), lines


def test_a_client_that_gets_in_leaves_none(launch):
    server = launch.server(**MUTUAL).wait_ready()
    launch.client(server.address, **TRUST, **identity("client")).wait_ready()
    assert failures(server) == []


def test_strangers_cannot_fill_the_log(launch):
    """Of a hundred from one machine one is written, and the others are counted: a line a minute, or two at its turn."""
    server = launch.server(**SERVER).wait_ready()
    for _ in range(100):
        speak_plainly(server.port)
    wait_until(lambda: failures(server), "the line")
    assert len(failures(server)) <= 2


@pytest.mark.parametrize("own", [TRUST, TRUST | identity("stranger")], ids=["no certificate", "stranger"])
def test_the_client_says_why_it_does_not_get_in(launch, own):
    """A warning with a reason, once: not a line for each attempt."""
    server = launch.server(**MUTUAL).wait_ready()
    client = launch.client(server.address, **own).wait_live()
    wait_until(lambda: failures(server), "the server's line")
    lines = wait_until(lambda: [line for line in client.log().splitlines() if " warning " in line], "the client's line")
    assert len(lines) <= 3 and all("reason=" in line for line in lines), lines


def test_a_client_that_does_not_trust_the_server_says_so(launch):
    server = launch.server(**SERVER).wait_ready()
    client = launch.client(server.address, MESSENGER_TLS_CA=CERTIFICATES / "other-authority.pem").wait_live()
    line = wait_until(lambda: [line for line in client.log().splitlines() if " warning " in line], "the line")[0]
    assert "certificate verify failed" in line.lower(), line
