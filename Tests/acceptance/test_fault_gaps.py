"""A reader is away, or does not read, until the history no longer has its next message: that is reported."""

import itertools

import pytest

from support.api import connected, pb, stub
from support.history import assert_clean
from support.processes import Client
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.history, pytest.mark.usefixtures("memory_history")]


HELD = 500


def gaps(client: Client) -> int:
    return client.http.request("GET", "/readyz").json()["gaps"]


def test_readers_that_are_away_for_too_long(launch, traffic, link):
    """Three times, twice as many messages pass as the history holds.

    One gap is reported to each reader, of the right messages.
    """
    server = launch.server(MESSENGER_HISTORY_MESSAGES=HELD).wait_ready()
    wire = link(server.port)
    room = traffic(server.address, HELD)
    near, far = room.read(), room.read(wire.address)
    client = launch.client(wire.address).wait_ready()
    follower = room.follow(client, flushers=2)
    for number in range(1, 4):
        sender = room.send()
        room.run(50)
        room.until_normal()
        wire.cut()
        room.run(2 * HELD)
        room.leave(sender)
        wire.restore()
        wait_until(lambda number=number: len(far.reading.gaps) == gaps(client) == number, f"gap {number} is reported")
        client.wait_ready()
    assert_clean(room.finish())
    assert [len(reader.reading.gaps) for reader in (near, far, follower)] == [0, 3, 3]


def test_a_client_comes_back_while_messages_flow(launch, traffic, link):
    """The full history drops its oldest message with every new one. The client still catches up."""
    server = launch.server(MESSENGER_HISTORY_MESSAGES=HELD).wait_ready()
    wire = link(server.port)
    room = traffic(server.address, HELD)
    follower = room.follow(launch.client(wire.address).wait_ready())
    # What is held is five seconds old or less.
    room.send(pace=0.01)
    room.run(50)
    wire.cut()
    storm = room.send(pace=0)
    room.run(2 * HELD)
    room.leave(storm)
    wire.restore()
    room.until_normal(within=15)
    assert_clean(room.finish())
    assert follower.reading.gaps


def test_a_client_whose_buffer_is_full(launch):
    """5 MB pass while buffer and history hold 64 KiB each: one gap before the newest messages, the rest in order."""
    count, size, held = 1_000, 5_000, 64 << 10
    server = launch.server(MESSENGER_HISTORY_BYTES=held).wait_ready()
    client = launch.client(server.address, MESSENGER_BUFFER_BYTES=held).wait_ready()
    with connected(server.address) as channel:
        for index in range(count):
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=str(index).ljust(size)))

    received = []

    def flush_to_the_end() -> bool:
        received.extend(client.http.flush())
        return bool(received) and int(received[-1]["text"]) == count - 1

    wait_until(flush_to_the_end, "the last message is there")
    assert client.http.flush() == []
    assert_increasing([message["sendTime"] for message in received])
    numbers = [int(message["text"]) for message in received]
    assert_increasing(numbers)
    [(before, after)] = [(a, b) for a, b in itertools.pairwise([-1, *numbers]) if b != a + 1]
    assert before > 0, "what the client had at first is gone"
    # All that is held: one more would not fit, with some bytes for each message's own needs.
    assert held < (count - after + 1) * (size + 200), f"only the last {count - after} messages"
    assert gaps(client) == 1
    wait_until(lambda: "messages lost" in client.log(), "the gap is logged")
    assert client.log().count("messages lost") == 1
