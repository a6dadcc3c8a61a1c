"""Promise 13: a TLS client that is refused leaves one line at info, with the reason and where it came from."""

import re
import socket
import ssl

import pytest

from support.tls import CERTIFICATES, MUTUAL, SERVER, TRUST, identity
from support.waiting import wait_until


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
