"""Memory is bounded in both programs, and a lost message is announced."""

import time

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.room import collect
from support.waiting import wait_until

pytestmark = pytest.mark.history


def send_all(address: str, texts) -> list[int]:
    with connected(address) as channel:
        return [time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=t))) for t in texts]


def test_the_history_holds_as_many_messages_as_set(launch, memory_history):
    """A reader that comes back in time gets everything. One that is too late gets OUT_OF_RANGE."""
    server = launch.server(MESSENGER_HISTORY_MESSAGES=100).wait_ready()
    times = send_all(server.address, map(str, range(300)))
    with connected(server.address) as channel:
        with reading(channel, after=times[199]) as reader:
            assert [time_of(message) for message in reader.take(100)] == times[200:]
        for lost in times[0], times[150]:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(lost)), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))


def test_the_history_takes_no_more_memory_than_set(launch):
    """60 MB pass a server that holds 2 MiB: its memory does not grow by them."""
    server = launch.server(MESSENGER_HISTORY_BYTES="2MiB").wait_ready()
    send_all(server.address, ["x" * 60_000] * 100)
    before = server.resident_bytes()
    send_all(server.address, ["x" * 60_000] * 1_000)
    grown = server.resident_bytes() - before
    assert grown < 16 * 1024 * 1024, f"grown by {grown / 1e6:.0f} MB"


def test_a_full_buffer_pauses_the_stream_and_loses_nothing(launch):
    """6 MB arrive at a client with a buffer of 1 MiB. Once it is flushed, it gets the rest from the server."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_BUFFER_BYTES="1MiB").wait_ready()
    times = send_all(server.address, (str(index).ljust(60_000) for index in range(100)))
    # A message more than the bound may be held: the one that reached it.
    wait_until(lambda: _buffered_bytes(client) > 900_000, "the buffer is full")
    assert _buffered_bytes(client) < 1_200_000
    received = collect(client.http, len(times))
    assert [int(message["text"]) for message in received] == list(range(100))


@pytest.mark.slow  # Memory is returned every 10 s.
def test_memory_of_fetched_messages_goes_back(launch):
    """60 MB wait in the buffer. After they are fetched, the process returns their memory to the system."""
    server = launch.server(MESSENGER_HISTORY_BYTES="2MiB").wait_ready()
    client = launch.client(server.address).wait_ready()
    before = client.resident_bytes()
    times = send_all(server.address, ["x" * 60_000] * 1_000)
    wait_until(lambda: _state(client)["buffered"] == len(times), "all messages wait", within=30)
    assert client.resident_bytes() - before > 50e6
    assert len(collect(client.http, len(times))) == len(times)
    wait_until(lambda: client.resident_bytes() - before < 20e6, "the memory is returned", within=30)


def _state(client) -> dict:
    return client.http.request("GET", "/readyz").json()


def _buffered_bytes(client) -> int:
    return _state(client)["bufferedBytes"]


@pytest.fixture
def full(launch):
    """A server, a client of it with a full buffer, and the number of messages sent."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_BUFFER_BYTES="64KiB", MESSENGER_SEND_TIMEOUT="1s").wait_ready()
    send_all(server.address, (str(index).ljust(30_000) for index in range(10)))
    wait_until(lambda: _state(client)["stream"] == "paused", "the buffer is full")
    assert client.http.request("GET", "/readyz").status == 200
    return server, client, 10


def test_a_full_buffer_does_not_block_sends(full):
    """A send does not wait for its own message in the buffer."""
    _, client, count = full
    began = time.monotonic()
    for index in range(10):
        client.http.send("Olga", str(count + index))
    # Half a second each, if they did.
    assert time.monotonic() - began < 2.5
    received = collect(client.http, count + 10)
    assert [int(message["text"]) for message in received] == list(range(count + 10))
    wait_until(lambda: _state(client)["stream"] == "open", "the stream goes on")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_full_buffer_does_not_hide_that_the_server_is_gone(launch, full, end):
    """/readyz says so at once, and says so when there is a server again. The buffer keeps its messages."""
    server, client, _ = full
    getattr(server, end)()
    wait_until(lambda: client.http.request("GET", "/readyz").status == 503, "the loss is noticed", within=10)
    assert _state(client)["stream"] == "reconnecting"
    response = client.http.request("POST", "/sendMessage", {"author": "Olga", "text": "?"})
    assert response.status == 503, response.json()
    launch.server(port=server.port)
    wait_until(lambda: _state(client)["stream"] == "paused", "the client is back, and its buffer is full still")
    client.http.send("Olga", "again")
    received = []

    def flush_to_the_end() -> bool:
        received.extend(client.http.flush())
        return bool(received) and received[-1]["author"] == "Olga"

    wait_until(flush_to_the_end, "the last message is there")
    numbers = [int(message["text"]) for message in received[:-1]]
    assert numbers == list(range(len(numbers))) and len(numbers) >= 3, "what was in the buffer, and the one before it"


def test_a_gap_is_reported(launch, memory_history):
    """A server comes back without its history: the client reports a gap, and continues."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    client.http.send("Ivan", "before")
    assert len(collect(client.http, 1)) == 1
    assert client.http.request("GET", "/readyz").json()["gaps"] == 0
    server.kill()
    wait_until(lambda: client.http.request("GET", "/readyz").status == 503, "the loss is noticed")
    launch.server(port=server.port)
    wait_until(lambda: client.http.request("GET", "/readyz").json()["gaps"] == 1, "the gap is counted")
    wait_until(lambda: " error " in client.log() and "lost" in client.log(), "the gap is logged")
    client.wait_ready().http.send("Ivan", "after")
    assert [message["text"] for message in collect(client.http, 1)] == ["after"]
