"""Limits on connections, calls and waiting times, and the answers to peers over the limit.

(test_memory_limits is about memory, test_send_message and test_http about the length of a message.)
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import grpc
import pytest

from support.api import connected, failure, pb, reading, send_raw, stub
from support.http2 import Answering, Connection
from support.room import collect
from support.tls import SERVER, credentials
from support.waiting import wait_until

#: For what must not happen: a call or a request that is over a limit has no answer in this time.
MOMENT = 1.0


def succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


@pytest.mark.parametrize("security", [None, credentials()], ids=["plain", "TLS"])
def test_limit_of_connections_to_the_server(launch, security):
    """A server that allows two connections accepts the third once another has closed."""
    server = launch.server(MESSENGER_MAX_CONNECTIONS=2, **(SERVER if security else {})).wait_ready()
    with ExitStack() as others, connected(server.address, security) as third:
        for _ in range(2):
            others.enter_context(reading(others.enter_context(connected(server.address, security))))
        assert not succeeds(lambda: send_raw(third, b"", timeout=MOMENT))
        assert server.connections() == 2
        others.close()
        wait_until(lambda: succeeds(lambda: send_raw(third, b"", timeout=MOMENT)), "it is the third's turn")


def test_limit_of_calls_on_a_connection(launch):
    """A client waits with its fourth call if a connection may have three. Another connection still has room."""
    server = launch.server(MESSENGER_MAX_STREAMS=3).wait_ready()
    with connected(server.address) as channel, connected(server.address) as other, ExitStack() as streams:
        for _ in range(3):
            streams.enter_context(reading(channel))
        failure(grpc.StatusCode.DEADLINE_EXCEEDED, send_raw, channel, b"", timeout=MOMENT)
        send_raw(other, b"")
        streams.close()
        send_raw(channel, b"")


def test_a_peer_that_ignores_the_limit_of_calls(launch):
    """It loses its connection or the stream. Nobody else notices."""
    server = launch.server(MESSENGER_MAX_STREAMS=3).wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        with closing(Connection(server.port)) as stranger:
            answering = Answering([stranger])
            stranger.read_messages()
            wait_until(lambda: len(answering.streams) == 1, "the settings are agreed upon")
            # The server may end the connection before all of them are sent.
            with suppress(OSError):
                for _ in range(50):
                    stranger.read_messages()
            assert len(answering.streams) <= 3
            answering.stop()
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
        assert reader.take(1)[0].text == "hey"


def test_limit_of_calls_on_all_connections(launch):
    """A call over the limit is refused, over gRPC and over HTTP. Once other calls have ended there is room again."""
    server = launch.server(MESSENGER_MAX_CALLS=3).wait_ready()
    client = launch.client(server.address).wait_ready()  # whose stream is a call
    with ExitStack() as streams, connected(server.address) as channel:
        for _ in range(2):
            streams.enter_context(reading(streams.enter_context(connected(server.address))))
        for call in stub(channel).SendMessage, lambda request: next(stub(channel).ReadMessages(request)):
            error = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, call, pb.ReadMessagesRequest())
            assert error.details() == "too many calls are in progress"
        for answer in (
            client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"}),
            client.http.request("GET", "/messages"),
        ):
            assert answer.status == 429, answer
            assert answer.json() == {"sendTime": None, "error": "The server is overloaded; try again later."}
        streams.close()
        wait_until(lambda: succeeds(lambda: send_raw(channel, b"")), "there is room")
        client.http.send("Ivan", "hey")


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def user(port: int, said: bytes = b"") -> Iterator[socket.socket]:
    """A connection to a client's HTTP port that has sent something."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(said)
        yield connection


def answer(connection: socket.socket) -> bytes:
    """Everything that arrives until the other side closes."""
    received = b""
    while data := connection.recv(1 << 16):
        received += data
    return received


def test_health_check_at_the_limit_of_http_connections(launch):
    """With both of two connections in use, a third one gets answers to health checks only, at once."""
    client = launch.client("localhost:1", MESSENGER_HTTP_CONNECTIONS=2).wait_live()

    def third(said: bytes) -> bytes:
        with user(client.port, said) as connection:
            return answer(connection)

    with ExitStack() as others:
        for _ in range(2):
            assert others.enter_context(user(client.port, HEALTH)).recv(4096).startswith(b"HTTP/1.1 200 ")
        assert third(HEALTH).startswith(b"HTTP/1.1 200 ")
        refused = third(HEALTH.replace(b"healthz", b"nothing"))
        assert refused.startswith(b"HTTP/1.1 404 "), "there is nothing here, for anybody"
        refused = third(b"POST /getAndFlushMessages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in refused
        # And whoever says nothing there is ended soon.
        assert third(b"") == b""
    wait_until(
        lambda: b"\r\nConnection: close\r\n" not in beginning(client.port, HEALTH),
        "there is room: the connection is kept",
    )


def beginning(port: int, said: bytes) -> bytes:
    with user(port, said) as connection:
        return connection.recv(4096)


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\n", HEALTH],
    ids=["nothing", "half a head", "a request, and no other"],
)
def test_timeout_for_a_request_head(launch, said):
    """The client closes a connection that does not send a whole request head."""
    client = launch.client("localhost:1", MESSENGER_HTTP_IDLE_TIMEOUT="500ms").wait_live()
    with user(client.port, said) as connection:
        assert answer(connection).startswith(b"HTTP/1.1 200 " if said == HEALTH else b"")


def test_timeout_for_a_request_body(launch):
    """A request without its body gets 408 with a sentence, then the connection closes."""
    client = launch.client("localhost:1", MESSENGER_HTTP_REQUEST_TIMEOUT="500ms").wait_live()
    request = b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
    with user(client.port, request) as connection:
        answered = answer(connection)
        assert answered.startswith(b"HTTP/1.1 408 ")
        assert answered.endswith(b'{"sendTime":null,"error":"The request took too long to arrive."}')


@pytest.mark.slow
def test_a_slow_reader_gets_the_whole_answer(launch):
    """The whole answer takes ten times as long as a peer may pause."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_HTTP_REQUEST_TIMEOUT="500ms").wait_ready()
    count = 100
    with connected(server.address) as channel:
        for index in range(count):
            stub(channel).SendMessage(pb.SendMessageRequest(author=str(index), text="x" * 60_000))
    wait_until(lambda: client.http.request("GET", "/readyz").json()["received"] == count, "all have arrived")
    with socket.socket() as slow:
        # The system's own buffer would take the pace out of it.
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.settimeout(20)
        slow.connect(("127.0.0.1", client.port))
        slow.sendall(b"POST /getAndFlushMessages HTTP/1.0\r\n\r\n")
        received = b""
        while data := slow.recv(1 << 16):
            received += data
            # At most 1 MB a second.
            time.sleep(len(data) / 1e6)
    assert len(json.loads(received.partition(b"\r\n\r\n")[2])) == count


@pytest.mark.slow
def test_timeout_for_reading_an_answer(launch):
    """A peer that stops reading loses the connection. The next one gets the messages."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_HTTP_REQUEST_TIMEOUT="500ms").wait_ready()
    count = 300
    with connected(server.address) as channel:
        for index in range(count):
            stub(channel).SendMessage(pb.SendMessageRequest(author=str(index), text="x" * 60_000))
    wait_until(lambda: client.http.request("GET", "/readyz").json()["received"] == count, "all have arrived")
    request = b"POST /getAndFlushMessages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    with user(client.port, request) as idler:
        assert idler.recv(1), "the answer has begun"
        received = collect(client.http, count)
        assert [message["author"] for message in received] == [str(index) for index in range(count)]
