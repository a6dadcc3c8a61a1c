"""TLS and mutual TLS with grpcurl, grpcio and messenger-client, and what the log says of refused peers."""

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
    """Options for grpcurl to trust the server, and to show a certificate if one is named."""
    options = ["-cacert", str(CERTIFICATES / "authority.pem")]
    if name:
        options += ["-cert", str(CERTIFICATES / f"{name}.pem"), "-key", str(CERTIFICATES / f"{name}.key")]
    return options


def refused(*arguments: str) -> str:
    """grpcurl's error when it cannot connect."""
    command = [tool("grpcurl"), "-connect-timeout", "5", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, done.stdout
    return done.stderr


def test_grpcurl_over_tls(launch):
    """grpcurl trusts the server's authority, and needs no .proto file."""
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
def test_grpcio_over_tls(launch, name):
    server = launch.server(**(MUTUAL if name else SERVER)).wait_ready()
    with connected(server.address, credentials(name)) as channel:
        answer = stub(channel).SendMessage(pb.SendMessageRequest(author="Ann", text="hi"), timeout=30)
        assert answer.HasField("sendTime")


@pytest.mark.parametrize("server_settings", [SERVER, MUTUAL], ids=["TLS", "mutual TLS"])
def test_the_client_over_tls(launch, server_settings):
    """It sends and receives as without TLS."""
    server = launch.server(**server_settings).wait_ready()
    own = identity("client") if server_settings is MUTUAL else {}
    client = launch.client(server.address, **TRUST, **own).wait_ready()
    client.http.send("Ann", "hidden")
    assert [message["text"] for message in client.http.flush()] == ["hidden"]


@pytest.mark.parametrize(
    "own", [{}, TRUST, TRUST | identity("stranger")], ids=["insecure", "no certificate", "stranger"]
)
def test_the_client_with_wrong_tls_settings(launch, own):
    """It logs the failure, stays alive and not ready. Another client with the right settings gets in."""
    server = launch.server(**MUTUAL).wait_ready()
    client = launch.client(server.address, **own).wait_live()
    wait_until(lambda: "stream not open yet" in client.log(), "a line that says so")
    assert client.http.request("GET", "/readyz").status == 503
    launch.client(server.address, **TRUST, **identity("client")).wait_ready()


def test_the_health_check_of_a_server_with_tls(launch, tmp_path):
    """It needs MESSENGER_SERVER_SOCKET, because it has no certificate."""
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
def test_bad_certificates_and_keys_stop_the_start(launch, name, settings, sentence):
    """One line says what to change, and the exit code is 78 (EX_CONFIG)."""
    line = one_line(launch.program(name, **settings), 78)
    assert sentence in line and "PRIVATE" not in line


def test_a_key_of_another_certificate_stops_the_start(launch):
    """The core finds it, and logs a line of its own before."""
    server = launch.server(**SERVER | {"MESSENGER_TLS_KEY": CERTIFICATES / "client.key"})
    assert server.exit_code(within=20) == 78
    lines = server.log().splitlines()
    assert "certificate and key" in lines[-1] and lines[-1].startswith("Error: ")
    assert "PRIVATE" not in server.log()


def test_an_impossible_socket_path_stops_the_start(launch):
    line = one_line(launch.server(MESSENGER_SERVER_SOCKET="/nowhere/messenger.sock"), 69)
    assert "unix:/nowhere/messenger.sock: No such file or directory" in line


def shake_hands(port: int, certificate: str | None = None, trusts: bool = True) -> None:
    """Connects as a TLS client, with a certificate or without, and closes."""
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
    """Sends the preface of a gRPC client without TLS, and waits for the end."""
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
def test_a_refused_tls_client_is_logged(launch, settings, connect, reason):
    """At info, with the reason and the address."""
    server = launch.server(**settings).wait_ready()
    connect(server.port)
    lines = wait_until(lambda: failures(server), "the line")
    assert len(lines) == 1 and " info " in lines[0] and reason in lines[0], lines
    assert re.search(r"peer=.*ipv[46]:\S*127\.0\.0\.1", lines[0]), lines


def test_an_accepted_tls_client_is_not_logged(launch):
    server = launch.server(**MUTUAL).wait_ready()
    launch.client(server.address, **TRUST, **identity("client")).wait_ready()
    assert failures(server) == []


def test_refused_tls_clients_cannot_fill_the_log(launch):
    """Of a hundred from one machine the server logs one or two a minute, and counts the others."""
    server = launch.server(**SERVER).wait_ready()
    for _ in range(100):
        speak_plainly(server.port)
    wait_until(lambda: failures(server), "the line")
    assert len(failures(server)) <= 2


@pytest.mark.parametrize("own", [TRUST, TRUST | identity("stranger")], ids=["no certificate", "stranger"])
def test_the_client_logs_why_tls_fails(launch, own):
    """One warning with a reason, not one for each attempt."""
    server = launch.server(**MUTUAL).wait_ready()
    client = launch.client(server.address, **own).wait_live()
    wait_until(lambda: failures(server), "the server's line")
    lines = wait_until(lambda: [line for line in client.log().splitlines() if " warning " in line], "the client's line")
    assert len(lines) <= 3 and all("reason=" in line for line in lines), lines


def test_the_client_logs_that_it_does_not_trust_the_server(launch):
    server = launch.server(**SERVER).wait_ready()
    client = launch.client(server.address, MESSENGER_TLS_CA=CERTIFICATES / "other-authority.pem").wait_live()
    line = wait_until(lambda: [line for line in client.log().splitlines() if " warning " in line], "the line")[0]
    assert "certificate verify failed" in line.lower(), line
