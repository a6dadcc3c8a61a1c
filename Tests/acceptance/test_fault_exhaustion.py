"""No file descriptors left: who is connected goes on, and when some are free again others can connect."""

import socket
import time
from contextlib import ExitStack

import grpc
import pytest

from support.api import connected, pb, reading, stub
from support.history import assert_clean
from support.tls import SERVER, credentials
from support.waiting import wait_until

pytestmark = pytest.mark.fault

LIMIT = 64
#: What the server's log says when no further connection is accepted.
FULL = "no room for another connection"


def occupy(stack: ExitStack, port: int, count: int = 2 * LIMIT) -> None:
    """Connects more often than the program may have file descriptors; the connections end with the stack."""
    for _ in range(count):
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))


def accepts(address: str, security: grpc.ChannelCredentials | None = None) -> bool:
    """Whether a new connection to the server gets an answer."""
    with connected(address, security) as channel:
        try:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), timeout=2)
            return "messenger-position" in dict(call.initial_metadata())
        except grpc.RpcError:
            return False


def test_the_server_has_no_file_descriptors_left(launch, traffic, figure):
    """`ulimit -n 64`: streams and senders go on, and no processor is burnt; when some are free, others can connect."""
    server = launch.server(file_descriptors=LIMIT).wait_ready()
    room = traffic(server.address)
    room.read()
    follower = room.follow(launch.client(server.address).wait_ready())
    with ExitStack() as strangers:
        occupy(strangers, server.port)
        wait_until(lambda: FULL in server.log(), "strangers have all that they get")
        used = server.cpu_seconds()
        time.sleep(1)  # the measurement itself, not a wait for something
        assert server.cpu_seconds() - used < 0.3, "trying to accept takes a processor"
        room.send_by(follower)
        room.run(200)
    began = time.monotonic()
    wait_until(lambda: accepts(server.address), "new connections are taken", within=10)
    figure("server without file descriptors: accepts again when there are", f"{time.monotonic() - began:.2f} s")
    room.send()
    assert_clean(room.finish())


@pytest.mark.parametrize("way", ["TLS", "unix"])
def test_other_ways_to_a_server_without_file_descriptors(launch, tmp_path, way):
    """With TLS, and on a socket with a path, as on a port without."""
    path = tmp_path / "socket"
    settings = SERVER if way == "TLS" else {"MESSENGER_SERVER_SOCKET": path}
    server = launch.server(file_descriptors=LIMIT, **settings).wait_ready()
    address, security = (server.address, credentials()) if way == "TLS" else (f"unix:{path}", None)
    with ExitStack() as strangers, connected(address, security) as channel, reading(channel) as reader:
        occupy(strangers, server.port)
        wait_until(lambda: FULL in server.log(), "strangers have all that they get")
        assert not accepts(address, security)
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
        assert reader.take(1)[0].text == "hey"
    wait_until(lambda: accepts(address, security), "new connections are taken", within=10)


def test_the_client_has_no_file_descriptors_left(launch, traffic):
    """The same for the client's HTTP side; its stream and those who are connected go on."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, file_descriptors=LIMIT).wait_ready()
    room = traffic(server.address)
    room.send_by(room.follow(client))
    room.run(50)
    with ExitStack() as strangers:
        occupy(strangers, client.port)
        room.run(200)
        # It keeps some for itself: strangers wait to be accepted.
        assert client.file_descriptors() < LIMIT
    wait_until(lambda: client.http.request("GET", "/readyz").status == 200, "new connections are taken", within=10)
    assert_clean(room.finish())
