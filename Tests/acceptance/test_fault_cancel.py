"""Calls are cancelled at every point of their way: a message is in the room as a whole or not at all, and nothing is left."""

from collections.abc import Callable
from contextlib import closing

import pytest

from support import usage
from support.api import connected, pb, reading, stub, time_of, timestamp
from support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, call_headers, cancellation, frame
from support.raw import grpc_message
from support.settling import SettlingConnection
from support.waiting import wait_until

pytestmark = pytest.mark.fault

REPETITIONS = 100
SIZE = 3_000

#: Frames of a call on a stream, up to where it is cancelled.
Beginning = Callable[[int, bytes], bytes]


def heads(method: str, stream: int) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, call_headers(method))


def up_to(part: float, end: bool = False) -> Beginning:
    """A SendMessage with so much of its message, in bytes or as a part of it."""

    def begin(stream: int, message: bytes) -> bytes:
        count = int(part * len(message)) if part <= 1 else int(part)
        data = frame(DATA, END_STREAM if end else 0, stream, message[:count]) if count else b""
        return heads("SendMessage", stream) + data

    return begin


SENDS = {
    "after the headers": up_to(0),
    "within the prefix": up_to(3),
    "after the prefix": up_to(5),
    "within the message": up_to(0.5),
    "before the last byte": up_to(0.9999),
    "after the message": up_to(1),
    "after the request": up_to(1, end=True),
}
#: Where the message may have been accepted by then.
COMPLETE = "after the message", "after the request"


def request(label: str) -> bytes:
    text = label.ljust(SIZE, ".")
    return grpc_message(pb.SendMessageRequest(author="cancelled", text=text).SerializeToString())


@pytest.mark.parametrize("settled", [False, True], ids=["at once", "when it was read"])
@pytest.mark.parametrize("point", SENDS)
def test_a_send_is_cancelled(launch, point, settled):
    """Others send and read on meanwhile, on that connection too as far as the server is concerned."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        first = time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan")))
        before = server.file_descriptors()
        with closing(SettlingConnection(server.port)) as stranger:
            for number in range(REPETITIONS):
                stream = stranger.new_stream()
                call = SENDS[point](stream, request(f"{number}:"))
                if settled:
                    stranger.say(call)
                    stranger.settle()
                    stranger.say(cancellation(stream))
                else:
                    stranger.say(call + cancellation(stream))
                # So that no more is on its way than the connection's window takes.
                if number % 10 == 9:
                    stranger.settle()
            # A whole one, on the same connection.
            stranger.say(up_to(1, end=True)(stranger.new_stream(), request("whole:")))
            seen = [reader.take(1)[0]]
            while not seen[-1].text.startswith("whole:"):
                seen += reader.take(1)
        assert_some_of_each_once(point, seen[1:-1])
        with reading(channel, after=first) as again:
            assert [time_of(message) for message in again.take(len(seen) - 1)] == [time_of(m) for m in seen[1:]]
        wait_until(lambda: server.file_descriptors() <= before, "the stranger's connection is gone")
    assert_nothing_left(server)


def assert_nothing_left(server) -> None:
    wait_until(lambda: usage.is_idle(server.pid), "all is cleared away")
    server.stop()
    assert "openCalls=0" in server.log()


def assert_some_of_each_once(point: str, seen: list) -> None:
    texts = [message.text for message in seen]
    assert texts == sorted(set(texts), key=lambda text: int(text.partition(":")[0])), "twice, or out of order"
    assert all(len(text) == SIZE for text in texts), "in part"
    assert not texts or point in COMPLETE, "accepted before it was there"


def request_after(position: int) -> bytes:
    return grpc_message(pb.ReadMessagesRequest(after=timestamp(position)).SerializeToString())


READS = {
    "as it opens": lambda first: grpc_message(b""),
    "as it catches up": request_after,
    "without a window": request_after,
    "idle": lambda first: grpc_message(b""),
}


@pytest.mark.parametrize("point", READS)
def test_a_read_is_cancelled(launch, point):
    """A hundred streams at a time: what each had waiting is given back."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        send = stub(channel).SendMessage
        first = time_of(send(pb.SendMessageRequest(author="Ivan")))
        for index in range(200):
            send(pb.SendMessageRequest(author="Ivan", text=str(index).ljust(SIZE)))
        reader.take(201)
        memory = []
        with closing(SettlingConnection(server.port, 0 if point == "without a window" else 65535)) as stranger:
            for _ in range(8):
                cancel_reads(stranger, READS[point](first), settled=point in ("without a window", "idle"))
                time_ = time_of(send(pb.SendMessageRequest(author="Olga")))
                assert time_of(reader.take(1)[0]) == time_
                memory.append(server.resident_bytes())
        # The first ones pay for what is made once.
        assert memory[-1] - memory[3] < 8e6, memory
    assert_nothing_left(server)


def cancel_reads(stranger: SettlingConnection, content: bytes, settled: bool) -> None:
    streams = [stranger.new_stream() for _ in range(100)]
    for stream in streams:
        call = heads("ReadMessages", stream) + frame(DATA, END_STREAM, stream, content)
        stranger.say(call if settled else call + cancellation(stream))
    stranger.settle()
    if settled:
        stranger.say(b"".join(map(cancellation, streams)))
        stranger.settle()
