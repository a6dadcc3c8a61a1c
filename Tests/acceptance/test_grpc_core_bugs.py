"""Bugs of gRPC's core 1.51: the server refuses what it can see, other tests are expected to fail."""

import gzip
from contextlib import closing

import pytest

from support.api import pb, reading, stub
from support.calls import Calls
from support.http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, call_headers, field, frame
from support.raw import grpc_message, outcome

RESOURCE_EXHAUSTED, UNIMPLEMENTED = 8, 12
HEADS = call_headers("SendMessage")
REQUEST = pb.SendMessageRequest(author="Ivan", text="hey").SerializeToString()


def call(heads: bytes, message: bytes, stream: int = 1) -> bytes:
    return frame(HEADERS, END_HEADERS, stream, heads) + frame(DATA, END_STREAM, stream, message)


@pytest.mark.parametrize("encoding", [None, "identity", "zstd", "snappy", "", "gzip", "deflate", "gzip, zstd", "GZIP"])
@pytest.mark.parametrize("content", [gzip.compress(REQUEST), REQUEST, b""], ids=["compressed", "plain", "empty"])
def test_a_message_flagged_as_compressed_is_refused(port, channel, encoding, content):
    """With any encoding or none: it reaches no handler."""
    heads = HEADS + (b"" if encoding is None else field("grpc-encoding", encoding))
    with reading(channel) as reader:
        assert outcome(port, call(heads, grpc_message(content, flag=1))).status == UNIMPLEMENTED
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="the next"))
        assert reader.take(1)[0].text == "the next"


# --- Expected to fail -------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(port):
    """A connection with agreed settings and half a call on it; and that call's stream."""
    with closing(Calls(port)) as calls:
        half = calls.begin("SendMessage")
        calls.wait_read()
        # What was acknowledged meanwhile has been read too.
        calls.wait_read()
        yield calls, half


def go_on(calls: Calls, half: int) -> None:
    """The call that had begun before continues."""
    calls.say(half, grpc_message(REQUEST))
    assert calls.wait_status(half, within=3) == 0


core_ends_the_connection = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="core 1.51 ends the connection, and with it every call on it"
)
core_cannot_read_padding = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="core 1.51 does not know of padding"
)


@core_ends_the_connection
def test_bad_base64_ends_one_call(calls):
    """A -bin header that is not base64."""
    calls, half = calls
    calls.send(call(HEADS + field("x-bin", "!!!!"), grpc_message(b""), stream=101))
    go_on(calls, half)


@core_ends_the_connection
def test_headers_far_over_the_limit_end_one_call(calls):
    """More than eight times the 16 KiB in one frame.

    Below that, test_call_limits shows that only the call is refused.
    """
    calls, half = calls
    # A field of 4 KB that enters the compression table, and a reference to it 64 times: 258 KB in 64 bytes.
    kept = b"\x40\x03x-y\x7f\xa1\x1e" + b"a" * 4_000
    calls.send(frame(HEADERS, 0, 101, HEADS + kept) + frame(CONTINUATION, END_HEADERS, 101, b"\xbe" * 64))
    go_on(calls, half)


def test_headers_over_the_limit_end_one_call(calls):
    """20 KB in one frame: the server refuses that call, and the other continues."""
    calls, half = calls
    kept = b"\x40\x03x-y\x7f\xa1\x1e" + b"a" * 4_000
    calls.send(frame(HEADERS, END_HEADERS, 101, HEADS + kept + b"\xbe" * 4))
    assert calls.wait_status(101) == RESOURCE_EXHAUSTED
    go_on(calls, half)


@core_cannot_read_padding
def test_a_padded_frame_is_read(calls):
    """HTTP/2 allows padding of data."""
    calls, _ = calls
    calls.send(frame(HEADERS, END_HEADERS, 101, HEADS))
    calls.send(frame(DATA, END_STREAM | PADDED, 101, b"\x04" + grpc_message(REQUEST) + bytes(4)))
    assert calls.wait_status(101, within=3) == 0


@core_cannot_read_padding
def test_padded_headers_are_read(calls):
    """HTTP/2 allows padding of headers."""
    calls, _ = calls
    calls.send(frame(HEADERS, END_HEADERS | PADDED, 101, b"\x04" + HEADS + bytes(4)))
    calls.send(frame(DATA, END_STREAM, 101, grpc_message(REQUEST)))
    assert calls.wait_status(101, within=3) == 0


@pytest.mark.parametrize("where", ["data", "headers"])
def test_padding_costs_nobody_else(calls, where):
    """A frame that the core cannot read ends its own call only."""
    calls, half = calls
    if where == "data":
        calls.send(frame(HEADERS, END_HEADERS, 101, HEADS))
        calls.send(frame(DATA, END_STREAM | PADDED, 101, b"\x04" + grpc_message(REQUEST) + bytes(4)))
    else:
        calls.send(frame(HEADERS, END_HEADERS | PADDED, 101, b"\x04" + HEADS + bytes(4)))
    go_on(calls, half)
