"""Stopping: asked to, both programs end by themselves, at once, with exit code 0."""

import signal
import socket
import threading

import grpc
import pytest

from support import usage
from support.api import connected, pb, reading, stub
from support.http2 import Connection
from support.waiting import wait_until

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_server_stops_with_open_streams(launch, number):
    """Within 5 s the server ends with 0, and open streams end with UNAVAILABLE."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    with connected(server.address) as channel, reading(channel) as one, reading(channel) as two:
        server.stop(number)
        assert one.status() == two.status() == grpc.StatusCode.UNAVAILABLE
    assert client.running


def test_the_server_stops_with_a_client_that_reads_nothing(launch):
    """Nor does it wait for a client that leaves all in its socket, with more for it on the way."""
    server = launch.server().wait_ready()
    unread = Connection(server.port, receive_buffer=4096)
    unread.read_messages(boundless=True)
    with connected(server.address) as channel:
        # More than sockets take.
        for index in range(200):
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=str(index).ljust(60_000)))
    server.stop()
    unread.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_client_stops(launch, number):
    """Within 5 s the client ends with 0, its stream open and an HTTP connection kept alive; the server lives on."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    with client.http.connection() as connection:
        connection.send("Ivan", "hey")
        client.stop(number)
    assert "in progress" not in client.log()
    server.stop()


def test_the_client_stops_while_there_is_no_server(launch):
    """A client that has never found its server, with a request waiting for it, ends as quickly."""
    nowhere = launch.server().wait_ready()
    nowhere.kill()
    client = launch.client(nowhere.address).wait_live()
    waiting = threading.Thread(target=_send_ignoring_failure, args=(client,), daemon=True)
    waiting.start()
    client.stop()
    waiting.join()


def test_the_client_stops_while_its_server_is_away(launch):
    """A request that waits for a server that has gone, and one whose body never comes, are cut short, and the log says so."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    server.kill()
    waiting = threading.Thread(target=_send_ignoring_failure, args=(client,), daemon=True)
    waiting.start()
    with socket.create_connection(("127.0.0.1", client.port)) as half:
        half.sendall(b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        wait_until(lambda: usage.connections(client.port) >= 2, "both are there")
        client.stop()
    assert "requests were still in progress" in client.log()
    waiting.join()


def _send_ignoring_failure(client) -> None:
    try:
        client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"})
    except OSError:
        pass


def test_messages_acknowledged_before_the_stop_are_delivered(launch):
    """What was accepted right before a SIGTERM still reaches an open stream."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    with client.http.connection() as connection:
        times = [connection.send("Ivan", str(index)) for index in range(100)]
    server.stop()
    received: list[dict] = []

    def all_there() -> bool:
        received.extend(client.http.flush())
        return len(received) >= len(times)

    wait_until(all_there, "the messages that were acknowledged")
    assert [message["sendTime"] for message in received] == times
