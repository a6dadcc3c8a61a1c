"""Hundreds of calls are cancelled in every state. Other calls notice nothing, and nothing leaks."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from support.api import Reader, connected, pb, reading, stub, time_of, timestamp
from support.calls import Calls
from support.raw import grpc_message
from support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.history]

REPETITIONS = 200
#: Of a text: all of a storm's messages fit into the window that the server gives a connection.
SIZE = 200

#: The server's limit: if so many calls fit in, no other is open.
MAX_CALLS = 450

#: Begins calls and cancels them, with these numbers in their messages; the last is the time of the first message.
Storm = Callable[[Calls, range, int], None]


def text(number: int) -> str:
    return f"{number}:".ljust(SIZE, ".")


def message(number: int) -> bytes:
    return grpc_message(pb.SendMessageRequest(author="cancelled", text=text(number)).SerializeToString())


def read_request(after: int | None = None) -> bytes:
    request = pb.ReadMessagesRequest() if after is None else pb.ReadMessagesRequest(after=timestamp(after))
    return grpc_message(request.SerializeToString())


def sends(length: int | None, end: bool = False, at_once: bool = False) -> Storm:
    """Sends this much of the message, then cancels: after the server has read that, or at once."""

    def storm(calls: Calls, numbers: range, first: int) -> None:
        for number in numbers:
            said = message(number)[:length]
            if at_once:
                calls.begin_and_cancel("SendMessage", said, end)
            else:
                stream = calls.begin("SendMessage", said, end)
                calls.wait_read()
                calls.cancel(stream)

    return storm


def opening(calls: Calls, numbers: range, first: int) -> None:
    """Streams that are cancelled at once."""
    for _ in numbers:
        calls.begin_and_cancel("ReadMessages", read_request(), end=True)


def idle(calls: Calls, numbers: range, first: int) -> None:
    """Open streams without messages."""
    streams = [calls.begin("ReadMessages", read_request(), end=True) for _ in numbers]
    calls.wait_open(*streams)
    calls.cancel(*streams)


def replaying(wide: bool) -> Storm:
    """Streams that are reading the history, or whose window is full."""

    def storm(calls: Calls, numbers: range, first: int) -> None:
        for _ in range(len(numbers) // 20):
            # The server refuses some while it still ends those that were cancelled before.
            streams = calls.begin_open(20, "ReadMessages", read_request(first))
            for stream in streams:
                if wide:
                    calls.widen(stream)
            for stream in streams:
                calls.wait_bytes(stream, at_least=1 if wide else 65_535)
            calls.cancel(*streams)

    return storm


# What is cancelled, and whether the messages may be in the room.
STORMS: dict[str, tuple[Storm, bool]] = {
    "after the headers": (sends(0), False),
    "in the prefix": (sends(3), False),
    "in the message": (sends(SIZE // 2), False),
    "a byte before the end": (sends(-1), False),
    "after the message": (sends(None), True),
    "after the request": (sends(None, end=True), True),
    "in the message, at once": (sends(SIZE // 2, at_once=True), False),
    "after the message, at once": (sends(None, at_once=True), True),
    "after the request, at once": (sends(None, end=True, at_once=True), True),
    "a stream that opens": (opening, False),
    "a stream that replays": (replaying(wide=True), False),
    "a stream without a window": (replaying(wide=False), False),
    "a stream that is idle": (idle, False),
}


class Neighbours:
    """A connection with calls that are cancelled and one stream that is not, and a reader on another connection."""

    def __init__(self, calls: Calls, other: Reader, channel):
        self.calls, self._other, self._channel = calls, other, channel
        self._near = calls.read_messages(boundless=True)
        calls.wait_open(self._near)
        self._got: list = []

    def fill(self, count: int) -> int:
        """Sends so many messages, and returns the first one's time."""
        send = stub(self._channel).SendMessage
        return [time_of(send(pb.SendMessageRequest(author="Ivan", text=text(index)))) for index in range(count)][0]

    def settle(self) -> list:
        """Waits until no call is open but the readers'; then both get the next message. Returns those cancelled."""
        self.calls.wait_room(MAX_CALLS - 2)
        self.calls.wait_accepted(grpc_message(pb.SendMessageRequest(author="marker").SerializeToString()))
        self._got += self._other.take(1)
        while self._got[-1].author != "marker":
            self._got += self._other.take(1)
        stream = b"".join(grpc_message(message.SerializeToString()) for message in self._got)
        self.calls.wait_bytes(self._near, at_least=len(stream))
        near = self.calls.got(self._near)
        assert near.digest.digest() == hashlib.md5(stream).digest(), (
            f"{near.bytes} and {len(stream)} bytes: not the same"
        )
        return [message for message in self._got if message.author == "cancelled"]


def assert_whole(messages: list, count: int) -> None:
    """Every message has all of its text, and is there once."""
    texts = [message.text for message in messages]
    assert len(set(texts)) == len(texts), "twice"
    assert set(texts) <= {text(number) for number in range(count)}, "in part"


@pytest.mark.parametrize(("storm", "accepted"), STORMS.values(), ids=STORMS)
def test_other_streams_notice_nothing(launch, storm, accepted):
    """Both readers get the same messages and the next one. A cancelled send is accepted whole or not at all."""
    server = launch.server(MESSENGER_MAX_CALLS=MAX_CALLS).wait_ready()
    with connected(server.address) as channel, reading(channel) as other, closing(Calls(server.port)) as calls:
        neighbours = Neighbours(calls, other, channel)
        first = neighbours.fill(400)
        # The first ones pay for what is made once.
        for turn in range(3):
            storm(calls, range(turn * REPETITIONS, (turn + 1) * REPETITIONS), first)
            neighbours.settle()
        before = server.file_descriptors(), server.resident_bytes()
        for turn in range(3, 6):
            storm(calls, range(turn * REPETITIONS, (turn + 1) * REPETITIONS), first)
            messages = neighbours.settle()
        assert_whole(messages, 6 * REPETITIONS)
        assert accepted or not messages, "accepted before it was there"
        assert server.file_descriptors() <= before[0]
        wait_until(lambda: server.resident_bytes() < before[1] + 8e6, "the memory is given back", within=30)


def test_sends_cancelled_while_the_disk_is_busy(launch, tmp_path):
    """The history file has exactly the messages that readers got."""
    path = tmp_path / "history.db"
    server = launch.server(MESSENGER_MAX_CALLS=MAX_CALLS, MESSENGER_HISTORY=f"sqlite:{path}").wait_ready()
    with connected(server.address) as channel, reading(channel) as other, closing(Calls(server.port)) as calls:
        neighbours = Neighbours(calls, other, channel)
        before = server.file_descriptors()
        for turn in range(10):
            numbers = range(turn * REPETITIONS, (turn + 1) * REPETITIONS)
            streams = [calls.begin("SendMessage", message(number), end=True) for number in numbers]
            calls.cancel(*streams)
            messages = neighbours.settle()
        assert_whole(messages, 10 * REPETITIONS)
        assert messages, "nothing was on its way when it was cancelled"
        assert server.file_descriptors() <= before
    server.stop()
    with sqlite3.connect(path) as file:
        kept = file.execute("SELECT time FROM message WHERE author = 'cancelled' ORDER BY time").fetchall()
    assert [time for (time,) in kept] == [time_of(message) for message in messages]
