"""SendMessage: what the server accepts and refuses."""

import time

import grpc
import pytest

from support.api import SERVICE, connected, failure, pb, reading, send_raw, stub, time_of
from support.room import unique

pytestmark = pytest.mark.history


def test_the_answer_has_the_time_of_the_message(channel):
    """It is near the clock's."""
    author = unique("time")
    with reading(channel) as reader:
        answer = stub(channel).SendMessage(pb.SendMessageRequest(author=author, text="hey"))
        assert time_of(reader.take(1)[0]) == time_of(answer)
    assert abs(time_of(answer) / 1e9 - time.time()) < 60


@pytest.mark.parametrize(("author", "text"), [("", ""), ("Ivan", ""), ("", "hey"), ("a" * 256, "я" * (32 * 1024))])
def test_empty_and_longest_messages_are_accepted(channel, author, text):
    """256 bytes of author and 64 KiB of text are the limits."""
    with reading(channel) as reader:
        stub(channel).SendMessage(pb.SendMessageRequest(author=author, text=text))
        message = reader.take(1)[0]
        assert (message.author, message.text) == (author, text)


@pytest.mark.parametrize("text", ["\x00", "before\x00after", "\x00" * 100, "end\x00"])
def test_u0000_is_carried_whole(channel, text):
    """A string is not cut at U+0000."""
    with reading(channel) as reader:
        stub(channel).SendMessage(pb.SendMessageRequest(author=text, text=text))
        message = reader.take(1)[0]
        assert (message.author, message.text) == (text, text)


def nothing_entered(channel, reader) -> None:
    """The next message on the stream is a marker that is sent now."""
    marker = unique("marker")
    stub(channel).SendMessage(pb.SendMessageRequest(author=marker))
    assert reader.take(1)[0].author == marker


NOT_UTF8 = {
    "a stray byte": b"\xff",
    "cut short": b"\xd0",
    "overlong": b"\xc0\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "wrong in the middle": "хорошо ".encode() + b"\x80" + " и дальше".encode(),
}


@pytest.mark.parametrize("field", [1, 2], ids=["author", "text"])
@pytest.mark.parametrize("bytes_", NOT_UTF8.values(), ids=NOT_UTF8.keys())
def test_invalid_utf8_is_refused(channel, field, bytes_):
    """INVALID_ARGUMENT, and nothing enters the room."""
    request = bytes([field << 3 | 2, len(bytes_)]) + bytes_
    with reading(channel) as reader:
        failure(grpc.StatusCode.INVALID_ARGUMENT, send_raw, channel, request)
        nothing_entered(channel, reader)


@pytest.mark.parametrize(("author", "text"), [("a" * 257, ""), ("", "a" * (64 * 1024 + 1)), ("я" * 129, "")])
def test_a_too_long_message_is_an_invalid_argument(channel, author, text):
    """One byte over the limit. The error names the field and the limit."""
    with reading(channel) as reader:
        error = failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            stub(channel).SendMessage,
            pb.SendMessageRequest(author=author, text=text),
        )
        assert ("author" if author else "text") in error.details().lower()
        nothing_entered(channel, reader)


GARBAGE = {
    "a length beyond the end": b"\x0a\x7fIvan",
    "cut in a tag": b"\x80",
    "cut in a length": b"\x0a\x80",
    "an endless varint": b"\xff" * 20,
    "text": b"GET / HTTP/1.1",
    "a length near 2^64": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "zeros": b"\x00" * 16,
}


@pytest.mark.parametrize("request_", GARBAGE.values(), ids=GARBAGE.keys())
def test_bytes_that_are_no_protobuf_are_refused(channel, request_):
    failure(grpc.StatusCode.INVALID_ARGUMENT, send_raw, channel, request_)


def test_unknown_fields_are_ignored(channel):
    """A newer client may send them."""
    request = pb.SendMessageRequest(author="Ivan", text="hey").SerializeToString() + b"\x7a\x03new" + b"\x80\x01\x05"
    with reading(channel) as reader:
        send_raw(channel, request)
        assert reader.take(1)[0].text == "hey"


def test_the_last_of_a_repeated_field_counts(channel):
    """As protobuf says."""
    request = b"".join(pb.SendMessageRequest(author="Ivan", text=text).SerializeToString() for text in ("one", "two"))
    with reading(channel) as reader:
        send_raw(channel, request)
        assert reader.take(1)[0].text == "two"


def test_an_oversized_message_is_refused(channel):
    """More than 4 MiB is RESOURCE_EXHAUSTED. The connection continues."""
    request = pb.SendMessageRequest(author="Ivan", text="a" * (5 * 1024 * 1024))
    failure(grpc.StatusCode.RESOURCE_EXHAUSTED, stub(channel).SendMessage, request)
    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))


@pytest.mark.parametrize("method", [SERVICE + "Nothing", "/nobody.Service/SendMessage", "/", "/x"])
def test_an_unknown_method_is_unimplemented(channel, method):
    """What the server does not have, it says it does not have."""
    failure(grpc.StatusCode.UNIMPLEMENTED, send_raw, channel, b"", method)


@pytest.mark.parametrize("timeout", [-0.001, -1])
def test_a_deadline_in_the_past(channel, timeout):
    """The call fails with DEADLINE_EXCEEDED."""
    failure(grpc.StatusCode.DEADLINE_EXCEEDED, send_raw, channel, b"", timeout=timeout)
    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_refused(channel, compression):
    """A few kilobytes might expand to gigabytes."""
    bomb = pb.SendMessageRequest(author="Ivan", text="0" * 900_000).SerializeToString()
    failure(grpc.StatusCode.UNIMPLEMENTED, send_raw, channel, bomb, compression=compression)
    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))


def test_calls_cancelled_in_flight(channel, server_address):
    """500 calls are cancelled right after their start, and their connection is closed: they disturb nobody."""
    with connected(server_address) as doomed:
        for _ in range(500):
            stub(doomed).SendMessage.future(pb.SendMessageRequest(author=unique("cancelled"))).cancel()
    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
