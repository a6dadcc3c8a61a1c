"""GET /messages: what the room holds, as a JSON array. It takes nothing from the client's buffer."""

import http.client
import json
import socket
import threading

import grpc
import pytest

from support.api import pb, timestamp
from support.fakeserver import fake_server, until_cancelled
from support.redis_room import send as send_to_room
from support.room import collect
from support.usage import resident_bytes
from support.waiting import wait_until


@pytest.fixture
def server(launch):
    return launch.server(MESSENGER_HISTORY="memory:", MESSENGER_HISTORY_MESSAGES=2000).wait_ready()


@pytest.fixture
def room(launch, server):
    """A client of a server of its own, and a function that sends messages by it."""
    client = launch.client(server.address).wait_ready()

    def send(count: int, text: str = "") -> list[str]:
        return [client.http.send("Ivan", f"{text}{number}") for number in range(count)]

    return client, send


def get(client, query: str = ""):
    return client.http.request("GET", f"/messages{query}")


def times(client, query: str = "") -> list[str]:
    response = get(client, query)
    assert response.status == 200, response
    assert response.headers["Content-Type"] == "application/json"
    return [message["sendTime"] for message in response.json()]


def test_an_empty_room(room):
    client, _ = room
    response = get(client)
    assert (response.status, response.body) == (200, b"[]")


def test_messages_are_read_again_and_again(room):
    """Nothing is taken from the buffer."""
    client, send = room
    sent = send(3, 'quote " and я ')
    for _ in range(2):
        response = get(client).json()
        assert [message["sendTime"] for message in response] == sent
        assert list(response[0]) == ["author", "text", "sendTime"]
        assert response[0]["text"] == 'quote " and я 0'
    assert [message["sendTime"] for message in client.http.flush()] == sent
    assert times(client) == sent


def test_the_query(room):
    client, send = room
    sent = send(5)
    assert times(client, "?last=2") == sent[3:]
    assert times(client, "?limit=2") == sent[3:]
    assert times(client, f"?after={sent[1]}") == sent[2:]
    assert times(client, f"?after={sent[1].replace(':', '%3A')}&limit=2") == sent[2:4]
    assert times(client, f"?after={sent[4]}") == []
    assert times(client, "?last=100&limit=3") == sent[2:]
    assert times(client, "?last=2&unknown=1&&x") == sent[3:]


def test_the_last_element_is_where_to_go_on(room):
    """A reader that remembers it gets each message once."""
    client, send = room
    sent = send(10)
    received = times(client, "?last=10&limit=1")
    after = sent[0]
    received = [after]
    while page := times(client, f"?after={after}&limit=3"):
        received += page
        after = page[-1]
    assert received == sent


def test_limits_without_a_query(room, server):
    """The latest thousand."""
    client, _ = room
    send_to_room(server.address, *map(str, range(1100)))
    assert [message["text"] for message in get(client).json()] == [str(number) for number in range(100, 1100)]
    assert len(times(client, "?limit=10000")) == len(times(client, "?last=1100")) == 1100


@pytest.mark.parametrize(
    "query",
    [
        "?after=", "?after=yesterday", "?after=2021-09-12", "?limit=0", "?limit=10001", "?limit=-1", "?limit=1.5", "?limit=",
        "?last=0", "?last=x", "?last=1&after=2021-09-12T10:25:22Z", "?last=1&last=2", "?after=%zz", "?after=%e2%28",
        "?after=2999-09-12T10:25:22Z",
    ],
)
def test_a_bad_query_is_refused(messenger, query):
    response = messenger.client1.request("GET", f"/messages{query}")
    assert response.status == 400 and response.json()["sendTime"] is None and response.json()["error"], response


def test_messages_that_are_gone(room):
    """410 says from when on messages are held."""
    client, send = room
    send(1)
    response = get(client, "?after=2021-09-12T10:25:22Z")
    assert response.status == 410, response
    body = response.json()
    assert list(body) == ["sendTime", "error", "heldAfter"] and body["sendTime"] is None and body["error"]
    assert len(times(client, f"?after={body['heldAfter']}")) == 1


def test_head_and_other_methods(room):
    client, _ = room
    head = client.http.request("HEAD", "/messages")
    assert (head.status, head.body) == (200, b"")
    refused = client.http.request("POST", "/messages", b"{}")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"


def test_long_answers_in_chunks(room):
    """Ten messages of 60,000 bytes arrive whole, on a connection that is kept."""
    client, send = room
    sent = send(10, "x" * 60_000)
    with client.http.connection() as connection:
        for _ in range(2):
            answer = connection.request("GET", "/messages")
            assert [message["sendTime"] for message in answer.json()] == sent


def test_a_reader_that_takes_nothing(launch):
    """The client holds little for it, and the others go on. The server's history holds the rest."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    send_to_room(server.address, *["x" * 60_000] * 150)
    collect(client.http, 150)
    before = resident_bytes(client.pid)
    stalled = [stalled_reader(client.port) for _ in range(20)]
    for connection in stalled:
        wait_until(lambda connection=connection: connection.recv(1, socket.MSG_PEEK), "the answer begins")
    assert len(get(client, "?last=1").json()) == 1
    assert resident_bytes(client.pid) - before < 20 * (2 << 20)
    assert client.http.request("GET", "/readyz").status == 200
    for connection in stalled:
        connection.close()


def test_the_server_is_away(launch):
    """503 with a sentence."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    server.stop()
    response = get(client)
    assert response.status == 503 and response.json()["error"] == "The server cannot be reached."


def test_a_server_that_ends_in_the_middle(launch):
    """The reader sees that the answer is not complete."""

    def read(request, context):
        context.send_initial_metadata((("messenger-position", "2026-01-01T00:00:00.000000000Z"),))
        if not request.untilNow:
            until_cancelled(context)
        for number in range(100):
            yield pb.Message(author="Ivan", text="x" * 10_000, sendTime=timestamp(10**18 + number))
        context.abort(grpc.StatusCode.UNAVAILABLE, "broken")

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        with pytest.raises(http.client.IncompleteRead):
            get(client)


def stalled_reader(port: int, requests: int = 1) -> socket.socket:
    """Asks for all messages, and takes nothing yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /messages HTTP/1.1\r\nHost: localhost\r\n\r\n" * requests)
    return connection


@pytest.fixture
def long_room(launch):
    """A client of a room with 9 MB, more than the sockets in between can hold."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    send_to_room(server.address, *["x" * 60_000] * 150)
    return client


def test_a_stop_does_not_wait_for_a_reader_that_takes_nothing(long_room):
    """The client gives it three seconds."""
    connection = stalled_reader(long_room.port)
    wait_until(lambda: connection.recv(1, socket.MSG_PEEK), "the answer begins")
    long_room.stop(within=8)
    connection.close()


def test_a_stop_finishes_an_answer_in_progress(long_room):
    """A reader that goes on reading gets all of it."""
    with stalled_reader(long_room.port) as connection:
        wait_until(lambda: connection.recv(1, socket.MSG_PEEK), "the answer begins")
        stop = threading.Thread(target=long_room.stop)
        stop.start()
        wait_until(lambda: not accepts(long_room.port), "the client stops")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        assert len(Answers(connection).next()) == 150
        stop.join()


def accepts(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_a_half_closed_connection_gets_its_answer(long_room):
    """A peer that closes its sending side and reads gets all messages."""
    for _ in range(20):
        with stalled_reader(long_room.port) as connection:
            connection.shutdown(socket.SHUT_WR)
            assert len(Answers(connection).next()) == 150


class Answers:
    """The answers on one connection."""

    def __init__(self, connection: socket.socket):
        self._file = connection.makefile("rb")

    def makefile(self, _mode):
        return self

    def __getattr__(self, name):
        return getattr(self._file, name)

    def close(self):
        pass

    def next(self):
        answer = http.client.HTTPResponse(self)
        answer.begin()
        return json.loads(answer.read())


def test_pipelined_requests_of_a_slow_reader(long_room):
    """The second answer begins while the first one is not written yet. Both are whole."""
    connection = stalled_reader(long_room.port, requests=3)
    wait_until(lambda: connection.recv(1, socket.MSG_PEEK), "the answer begins")
    answers = Answers(connection)
    assert [len(answers.next()) for _ in range(3)] == [150] * 3
    connection.close()


def test_the_number_of_messages_while_others_send(launch, server):
    """Never more than were asked for, in the order of their times."""
    client = launch.client(server.address).wait_ready()
    stopping = threading.Event()

    def send_on() -> None:
        while not stopping.is_set():
            send_to_room(server.address, *["x"] * 100)

    send_to_room(server.address, *["x"] * 1000)
    threads = [threading.Thread(target=send_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert len(times(client, "?last=1")) == 1
            received = times(client, "?limit=100")
            assert len(received) == 100
            assert received == sorted(set(received))
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow  # the ten seconds that a server has to begin
@pytest.mark.parametrize("says_something", [False, True])
def test_a_server_that_does_not_know_until_now(launch, says_something):
    """It would stream without an end, and may send nothing before its next message."""

    def read(request, context):
        if says_something:
            context.send_initial_metadata((("x-other", "1"),))
        until_cancelled(context)
        yield from ()

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        response = get(client)
        assert response.status == 502 and response.json()["error"], response
