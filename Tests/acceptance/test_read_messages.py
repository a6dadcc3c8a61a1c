"""ReadMessages: where a stream begins, and that no message is missing."""

import threading
import time

import grpc
import pytest

from support.api import SERVICE, connected, failure, pb, reading, stub, time_of, timestamp
from support.room import assert_increasing, nanoseconds, unique

pytestmark = pytest.mark.history


def send(channel, author: str, *texts: str) -> list[int]:
    """Sends texts one after the other, and returns their times."""
    server = stub(channel)
    return [time_of(server.SendMessage(pb.SendMessageRequest(author=author, text=text))) for text in texts]


def test_without_after_only_new_messages_arrive(channel):
    """The first message is the first one accepted after the stream was open."""
    author = unique("new")
    send(channel, author, "before")
    with reading(channel) as reader:
        send(channel, author, "after")
        assert reader.take(1)[0].text == "after"


def test_initial_metadata_has_the_position(channel):
    """It arrives at once, before there is any message."""
    author = unique("position")
    before = send(channel, author, "before")[0]
    began = time.monotonic()
    with reading(channel) as reader:
        assert time.monotonic() - began < 5
        position = nanoseconds(reader.metadata["messenger-position"])
        assert position >= before
        after = send(channel, author, "after")[0]
        assert position < after


def test_the_position_is_where_to_resume(channel):
    """A stream opened with another stream's position as `after` gets exactly the same messages."""
    author = unique("position")
    with reading(channel) as first:
        send(channel, author, "one", "two")
        with reading(channel, after=nanoseconds(first.metadata["messenger-position"])) as second:
            send(channel, author, "three")
            assert [m.text for m in first.take(3)] == ["one", "two", "three"]
            assert [m.text for m in second.take(3)] == ["one", "two", "three"]


def test_after_replays_then_continues_live(channel):
    """`after: T` brings every message later than T, then new ones."""
    author = unique("replay")
    times = send(channel, author, "0", "1", "2", "3")
    with reading(channel, after=times[1]) as reader:
        assert reader.metadata["messenger-position"] and nanoseconds(reader.metadata["messenger-position"]) == times[1]
        assert [(m.text, time_of(m)) for m in reader.take(2)] == [("2", times[2]), ("3", times[3])]
        last = send(channel, author, "live")[0]
        assert [(m.text, time_of(m)) for m in reader.take(1)] == [("live", last)]


def test_after_the_last_message_brings_nothing_old(channel):
    """Only new messages follow."""
    author = unique("newest")
    last = send(channel, author, "old")[0]
    with reading(channel, after=last) as reader:
        send(channel, author, "new")
        assert [m.text for m in reader.take(1)] == ["new"]


def test_after_between_two_messages(channel):
    """`after` need not be the time of a message."""
    author = unique("between")
    first, second = send(channel, author, "first", "second")
    with reading(channel, after=second - 1) as reader:
        assert [m.text for m in reader.take(1)] == ["second"]
    with reading(channel, after=first) as reader:
        assert [m.text for m in reader.take(1)] == ["second"]


def test_no_gap_at_the_seam(channel, server_address):
    """Streams open with `after` while messages are sent. They get every message once, in order."""
    author, count = unique("seam"), 300
    start = send(channel, author, "start")[0]
    times: list[int] = []

    def send_all() -> None:
        with connected(server_address) as own:
            for index in range(count):
                times.extend(send(own, author, str(index)))

    sender = threading.Thread(target=send_all)
    sender.start()
    readers = []
    try:
        for _ in range(20):
            after = times[-1] if times else start
            opened = reading(channel, after=after)
            readers.append((after, opened, opened.__enter__()))
        sender.join()
        for after, _, reader in readers:
            expected = [time for time in times if time > after]
            received = [time_of(message) for message in reader.take(len(expected))]
            assert_increasing(received)
            assert received == expected
    finally:
        sender.join()
        for _, opened, _ in readers:
            opened.__exit__(None, None, None)


def test_a_time_before_the_history_is_out_of_range(channel):
    """If later messages may be missing, the error says from when on messages are held."""
    long_ago = nanoseconds("2001-01-01T00:00:00.000000000Z")
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(long_ago)), timeout=20)
    error = failure(grpc.StatusCode.OUT_OF_RANGE, lambda: next(call))
    assert "20" in error.details() and "Z" in error.details(), f"no time in: {error.details()}"


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [(1_700_000_000, -1), (1_700_000_000, 10**9), (-1, 0), (-(2**63), 0), (2**63 - 1, 0), (253_402_300_800, 0)],
)
def test_a_malformed_time_is_an_invalid_argument(channel, seconds, nanos):
    """Nanoseconds out of range, seconds before 1970 or after 9999."""
    request = pb.ReadMessagesRequest()
    request.after.seconds, request.after.nanos = seconds, nanos
    call = stub(channel).ReadMessages(request, timeout=20)
    failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(call))


def test_a_time_in_the_future_is_an_invalid_argument(channel):
    """A reader cannot have read messages of tomorrow."""
    tomorrow = pb.ReadMessagesRequest()
    tomorrow.after.seconds = int(time.time()) + 86_400
    failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(stub(channel).ReadMessages(tomorrow, timeout=20)))


def test_an_empty_request_is_enough(channel):
    """Zero bytes, also a google.protobuf.Empty, open a stream."""
    open_stream = channel.unary_stream(SERVICE + "ReadMessages", request_serializer=bytes, response_deserializer=bytes)
    call = open_stream(b"", timeout=20)
    assert "messenger-position" in dict(call.initial_metadata())
    author = unique("empty")
    send(channel, author, "hey")
    assert pb.Message.FromString(next(call)).author == author
    call.cancel()


def test_a_request_that_is_no_protobuf_is_an_invalid_argument(channel):
    open_stream = channel.unary_stream(SERVICE + "ReadMessages", request_serializer=bytes, response_deserializer=bytes)
    failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(open_stream(b"\x0a\xff", timeout=20)))


def test_a_deadline_ends_a_stream(channel):
    """With DEADLINE_EXCEEDED, with or without messages."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), timeout=0.3)
    failure(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(call))


def test_cancelled_streams_disturb_nobody(channel):
    """300 streams are opened and cancelled at once, some before they are open."""
    author = unique("cancel")
    with reading(channel) as reader:
        for _ in range(300):
            stub(channel).ReadMessages(pb.ReadMessagesRequest()).cancel()
        send(channel, author, "still here")
        assert [m.text for m in reader.take(1)] == ["still here"]


def test_every_stream_gets_every_message(channel, server_address):
    """On one connection and on others, the sender's too."""
    author = unique("all")
    with connected(server_address) as other, reading(channel) as one, reading(channel) as two, reading(other) as three:
        times = send(channel, author, *map(str, range(50)))
        for reader in one, two, three:
            assert [time_of(message) for message in reader.take(50)] == times
