"""GET /events: messages as server-sent events."""

import subprocess

import pytest

from support.events import EventReader
from support.redis_room import send as send_to_room
from support.room import assert_increasing
from support.usage import connections
from support.waiting import wait_until


@pytest.fixture
def server(launch):
    return launch.server(MESSENGER_HISTORY="memory:", MESSENGER_HISTORY_MESSAGES=300).wait_ready()


@pytest.fixture
def client(launch, server):
    return launch.client(server.address).wait_ready()


def times(messages: list[dict]) -> list[str]:
    return [message["sendTime"] for message in messages]


def test_a_reader_gets_what_comes_from_now_on(client):
    before = client.http.send("Ivan", "before")
    with EventReader(client.port).open() as reader:
        assert reader.headers["Content-Type"] == "text/event-stream"
        assert reader.headers["Cache-Control"] == "no-store" and reader.headers["X-Accel-Buffering"] == "no"
        sent = [client.http.send("Ivan", f'line\nbreak, "quote" and я {number}') for number in range(3)]
        received = reader.messages(3)
        assert times(received) == sent
        assert received[0]["text"] == 'line\nbreak, "quote" and я 0'
        assert reader.retry
    assert times(client.http.flush()) == [before, *sent], "the buffer is untouched"


def test_every_reader_gets_all_messages_in_order(client, server):
    readers = [EventReader(client.port).open() for _ in range(5)]
    send_to_room(server.address, *map(str, range(200)))
    for reader in readers:
        received = reader.messages(200)
        assert [message["text"] for message in received] == [str(number) for number in range(200)]
        assert_increasing(times(received))
        reader.close()


def test_the_query(client):
    sent = [client.http.send("Ivan", str(number)) for number in range(5)]
    for query, expected in {
        "?last=2": sent[3:],
        "?last=100": sent,
        f"?after={sent[1]}": sent[2:],
        f"?after={sent[1].replace(':', '%3A')}": sent[2:],
        "?last=1&unknown=1": sent[4:],
    }.items():
        with EventReader(client.port, query) as reader:
            assert times(reader.messages(len(expected))) == expected


def test_after_the_past_comes_the_present(client):
    sent = [client.http.send("Ivan", str(number)) for number in range(3)]
    with EventReader(client.port, "?last=2") as last, EventReader(client.port, f"?after={sent[0]}") as after:
        assert times(last.messages(2)) == times(after.messages(2)) == sent[1:]
        later = client.http.send("Ivan", "later")
        assert times(last.messages(1)) == times(after.messages(1)) == [later]


def test_the_answer_ends_at_the_limit(client):
    sent = [client.http.send("Ivan", str(number)) for number in range(5)]
    for query in "?last=3&limit=2", f"?after={sent[1]}&limit=2":
        with EventReader(client.port, query) as reader:
            assert times(reader.messages(2)) == sent[2:4]
            assert reader.event() is None
    with EventReader(client.port, "?limit=1").open() as reader:
        later = client.http.send("Ivan", "later")
        client.http.send("Ivan", "too late")
        assert times(reader.messages(1)) == [later]
        assert reader.event() is None


@pytest.mark.parametrize(
    "query",
    ["?after=", "?after=yesterday", "?limit=0", "?limit=x", "?last=0", "?last=10001", "?last=1&last=2", "?after=%zz",
     "?last=1&after=2021-09-12T10:25:22Z"],
)  # fmt: skip
def test_a_bad_query_is_refused(messenger, query):
    response = messenger.client1.request("GET", f"/events{query}")
    assert response.status == 400 and response.json()["error"], response


def test_the_last_event_id_wins_over_the_query(client):
    """A browser resumes with the URL with which it began."""
    sent = [client.http.send("Ivan", str(number)) for number in range(5)]
    for query in ["", "?last=5", f"?after={sent[0]}"]:
        with EventReader(client.port, query, last_event_id=sent[2]) as reader:
            assert times(reader.messages(2)) == sent[3:]
    with EventReader(client.port, "?last=5", last_event_id="") as reader:
        assert times(reader.messages(5)) == sent


@pytest.mark.parametrize("last_event_id", ["yesterday", "2999-09-12T10:25:22.000000000Z"])
def test_a_last_event_id_that_the_room_does_not_know(client, last_event_id):
    """A browser would repeat it. It is told about the gap, goes on from now, and resumes from there."""
    client.http.send("Ivan", "before")
    with EventReader(client.port, last_event_id=last_event_id) as reader:
        gap = reader.event()
        assert gap and gap.type == "gap" and gap.json() == {"heldAfter": None}
        assert gap.id != last_event_id
        sent = client.http.send("Ivan", "hey")
        assert times(reader.messages(1)) == [sent]


def test_messages_that_are_gone(client, server):
    send_to_room(server.address, *["x"] * 350)
    with EventReader(client.port, "?after=2021-09-12T10:25:22Z") as reader:
        gap = reader.event()
        assert gap and gap.type == "gap" and list(gap.json()) == ["heldAfter"]
        assert gap.id == gap.json()["heldAfter"]
        received = reader.messages(300)
        assert received[0]["sendTime"] > gap.json()["heldAfter"]
        assert_increasing(times(received))


def test_a_reader_that_has_got_nothing_yet_resumes(client):
    """It is told its position before the first message, as a browser understands it."""
    before = client.http.send("Ivan", "before")
    with EventReader(client.port) as reader:
        wait_until(reader.line, "the answer begins")
        while not reader.last_id:
            reader.line()
        assert reader.last_id == before
    missed = client.http.send("Ivan", "0")
    with EventReader(client.port, last_event_id=reader.last_id) as reader:
        assert times(reader.messages(1)) == [missed]


def test_head_and_other_methods(client):
    head = client.http.request("HEAD", "/events")
    assert (head.status, head.body) == (200, b"") and head.headers["Content-Type"] == "text/event-stream"
    assert head.headers["Content-Length"] is None
    refused = client.http.request("POST", "/events", b"{}")
    assert refused.status == 405 and refused.headers["Allow"] == "GET, HEAD"


def test_curl_prints_messages_as_they_come(client):
    command = ["curl", "-sN", f"http://localhost:{client.port}/events?limit=2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout and curl.stdout.readline() == "retry: 1000\n"
        for number in range(2):
            sent = client.http.send("Ivan", str(number))
            while not (line := curl.stdout.readline()).startswith("data: "):
                assert line
            assert line == f'data: {{"author":"Ivan","text":"{number}","sendTime":"{sent}"}}\n'
        assert curl.wait(10) == 0


def test_the_number_of_readers_is_limited(launch, server):
    client = launch.client(server.address, MESSENGER_HTTP_STREAMS=3).wait_ready()
    readers = [EventReader(client.port).open() for _ in range(3)]
    refused = client.http.request("GET", "/events")
    assert refused.status == 503 and refused.headers["Retry-After"] and refused.json()["error"]
    assert client.http.request("GET", "/messages").status == 200
    readers.pop().close()
    wait_until(lambda: client.http.request("HEAD", "/events").status == 200, "a reader that leaves makes room")
    with EventReader(client.port).open() as reader:
        sent = client.http.send("Ivan", "hey")
        assert times(reader.messages(1)) == [sent]
    for reader in readers:
        assert times(reader.messages(1)) == [sent]
        reader.close()


def test_readers_leave_connections_for_others(launch, server):
    """However many may read events, half of the connections are left."""
    client = launch.client(server.address, MESSENGER_HTTP_CONNECTIONS=20).wait_ready()
    readers = [EventReader(client.port).open() for _ in range(10)]
    assert client.http.request("GET", "/events").status == 503
    client.http.send("Ivan", "hey")
    for reader in readers:
        reader.close()


def test_a_full_buffer_stops_no_events(launch, server):
    client = launch.client(server.address, MESSENGER_BUFFER_BYTES="64KiB").wait_ready()
    with EventReader(client.port).open() as reader:
        send_to_room(server.address, *["x" * 1000] * 150)
        wait_until(lambda: client.http.request("GET", "/readyz").json()["stream"] == "paused", "the buffer is full")
        assert len(reader.messages(150)) == 150
        with EventReader(client.port, "?last=3") as other:
            assert len(other.messages(3)) == 3


def test_a_stop_does_not_wait_for_readers(launch, server):
    """Neither for one that listens nor for one that takes nothing. The answer ends as it should."""
    client = launch.client(server.address).wait_ready()
    send_to_room(server.address, *["x" * 60_000] * 60)
    listening = EventReader(client.port).open()
    stalled = EventReader(client.port, "?last=60", receive_buffer=4096).open()
    assert client.stop(within=2) < 1
    assert listening.event() is None
    stalled.close()
    listening.close()


def test_readers_that_come_and_go(client):
    """The stream from the server begins and ends with them."""
    for _ in range(20):
        with EventReader(client.port).open() as reader:
            sent = client.http.send("Ivan", "hey")
            assert times(reader.messages(1)) == [sent]


def test_readers_that_take_nothing(launch):
    """The client holds little for them, and the others go on. After the timeout they are disconnected."""
    server = launch.server().wait_ready()
    settings = {"MESSENGER_HTTP_REQUEST_TIMEOUT": "2s", "MESSENGER_BUFFER_BYTES": "64KiB"}
    client = launch.client(server.address, **settings).wait_ready()
    send_to_room(server.address, *["x" * 60_000] * 60)
    before = client.resident_bytes()
    with EventReader(client.port).open() as reader:
        past = [EventReader(client.port, "?last=60", receive_buffer=4096).open() for _ in range(20)]
        live = [EventReader(client.port, receive_buffer=4096).open() for _ in range(20)]
        send_to_room(server.address, *["y" * 60_000] * 60)
        assert len(reader.messages(60)) == 60
        # All of them share 4 MiB.
        assert client.resident_bytes() - before < (8 << 20) + 40 * (256 << 10)
        # The peers cannot see it: their windows are closed.
        wait_until(lambda: connections(client.port) == 1, "the client has disconnected them")
        sent = client.http.send("Ivan", "hey")
        assert times(reader.messages(1)) == [sent], "a reader that takes everything stays"
    for each in past + live:
        each.close()
