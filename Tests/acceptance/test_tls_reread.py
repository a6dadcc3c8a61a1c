"""Certificates that are replaced while a server runs."""

import shutil

import grpc
import pytest

from support.api import connected, pb, reading, stub
from support.tls import CERTIFICATES, MUTUAL, TRUST, credentials
from support.waiting import wait_until

HELLO = pb.SendMessageRequest(author="Ann", text="hi")


@pytest.fixture
def folder(tmp_path):
    """A certificate and its key, which can be replaced."""
    put(tmp_path, "server")
    return tmp_path


def put(folder, name: str, key: str | None = None) -> None:
    shutil.copy(CERTIFICATES / f"{name}.pem", folder / "tls.crt")
    shutil.copy(CERTIFICATES / f"{key or name}.key", folder / "tls.key")


@pytest.fixture
def server(launch, folder):
    settings = {"MESSENGER_TLS_CERT": folder / "tls.crt", "MESSENGER_TLS_KEY": folder / "tls.key"}
    return launch.server(**settings).wait_ready()


def trusting(authority: str) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials((CERTIFICATES / f"{authority}.pem").read_bytes())


def connects(server, authority: str) -> bool:
    with connected(server.address, trusting(authority)) as channel:
        try:
            stub(channel).SendMessage(HELLO, timeout=20)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False
    return True


def test_sighup_rereads_the_certificate(server, folder):
    """New connections get the new one. Open ones live on."""
    with connected(server.address, trusting("authority")) as channel, reading(channel) as reader:
        put(folder, "renewed")
        assert connects(server, "authority"), "nothing changes before SIGHUP"
        server.reread("certificates reread")
        assert connects(server, "renewed")
        assert not connects(server, "authority")
        assert len(reader.take(2)) == 2
        stub(channel).SendMessage(HELLO, timeout=20)


@pytest.mark.parametrize("damage", ["other key", "no certificate", "no file", "garbage"])
def test_a_bad_certificate_changes_nothing(server, folder, damage):
    if damage == "other key":
        put(folder, "server", "client")
    elif damage == "no certificate":
        shutil.copy(folder / "tls.key", folder / "tls.crt")
    elif damage == "no file":
        (folder / "tls.crt").unlink()
    else:
        (folder / "tls.crt").write_text("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n")
    line = server.reread("certificates not reread")
    assert "MESSENGER_TLS_CERT" in line and "PRIVATE" not in line
    assert connects(server, "authority")


def test_a_client_reconnects_to_a_renewed_server(launch, server, folder):
    """Its stream lives on, and a new client trusts the new certificate."""
    client = launch.client(server.address, **TRUST).wait_ready()
    put(folder, "renewed")
    server.reread("certificates reread")
    client.http.send("Ann", "hi")
    assert len(client.http.flush()) == 1
    launch.client(server.address, MESSENGER_TLS_CA=CERTIFICATES / "renewed.pem").wait_ready()


def test_tokens_and_certificates_are_reread_together(launch, folder, tokens):
    settings = {"MESSENGER_TLS_CERT": folder / "tls.crt", "MESSENGER_TLS_KEY": folder / "tls.key"}
    server = launch.server(MESSENGER_TOKENS_FILE=tokens.path, **settings).wait_ready()
    tokens.add("ann")
    server.reread("certificates reread")
    wait_until(lambda: "tokens reread added=1" in server.log(), "the tokens are reread too")


def test_the_client_rereads_its_certificates(launch, tmp_path):
    """A bad one changes nothing. Its stream lives on, and a new connection shows the new certificate."""
    server = launch.server(**MUTUAL).wait_ready()
    put(tmp_path, "stranger")
    own = {"MESSENGER_TLS_CERT": tmp_path / "tls.crt", "MESSENGER_TLS_KEY": tmp_path / "tls.key"}
    client = launch.client(server.address, **TRUST, **own).wait_live()
    wait_until(lambda: "stream not open yet" in client.log(), "the server refuses the stranger")
    put(tmp_path, "client", "server")
    assert "MESSENGER_TLS_CERT" in client.reread("certificates not reread")
    put(tmp_path, "client")
    client.reread("certificates reread")
    client.wait_ready()
    client.http.send("Ann", "1")
    # The same files again, and other ones: nothing is lost.
    client.reread("certificates reread")
    put(tmp_path, "stranger")
    client.reread("certificates reread")
    with connected(server.address, credentials("client")) as channel:
        stub(channel).SendMessage(pb.SendMessageRequest(author="Bob", text="2"), timeout=20)
    put(tmp_path, "client")
    client.reread("certificates reread")
    client.http.send("Ann", "3")
    assert [message["text"] for message in client.http.flush()] == ["1", "2", "3"]
    assert client.http.request("GET", "/readyz").json()["gaps"] == 0
