"""Bytes that no gRPC client sends: the call or its connection ends, and all others continue."""

import socket
import struct
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from support.api import connected, failure, pb, reading, send_raw, stub
from support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    call_headers,
    field,
    frame,
)
from support.raw import Feeder, grpc_message, outcome
from support.room import unique

OK, CANCELLED, INVALID_ARGUMENT, UNIMPLEMENTED = 0, 1, 3, 12

HEADS = call_headers("SendMessage")
CALL = frame(HEADERS, END_HEADERS, 1, HEADS)
REQUEST = pb.SendMessageRequest(author="Ivan", text="hey").SerializeToString()
MESSAGE = grpc_message(REQUEST)
TRAILERS = frame(HEADERS, END_HEADERS | END_STREAM, 1, field("x-trailer", "1"))


def data(*parts: bytes, stream: int = 1) -> bytes:
    """The stream's data in these frames, and its end."""
    last = len(parts) - 1
    return b"".join(frame(DATA, END_STREAM if i == last else 0, stream, part) for i, part in enumerate(parts))


def call(heads: bytes) -> bytes:
    return frame(HEADERS, END_HEADERS, 1, heads) + data(MESSAGE)


@pytest.fixture
def others(channel):
    """Another user who reads and sends, and must not notice. Only accepted messages enter the room."""
    with reading(channel) as reader:
        yield
        marker = unique("marker")
        stub(channel).SendMessage(pb.SendMessageRequest(author=marker))
        while (message := reader.take(1)[0]).author != marker:
            assert (message.author, message.text) == ("Ivan", "hey")


# What is wrong with the message; the statuses that say so.
MESSAGES = {
    "in frames of one byte": (data(*(bytes([byte]) for byte in MESSAGE)), OK),
    "between empty frames": (data(b"", MESSAGE[:3], b"", MESSAGE[3:], b""), OK),
    "followed by another": (data(MESSAGE + MESSAGE), OK),
    "followed by trailers": (frame(DATA, 0, 1, MESSAGE) + TRAILERS, OK),
    "none": (data(b""), INVALID_ARGUMENT),
    "none but trailers": (TRAILERS, CANCELLED),
    "half a prefix": (data(b"\0\0\0"), INVALID_ARGUMENT),
    "a prefix alone": (data(grpc_message(b"", length=10)), INVALID_ARGUMENT),
    "longer than it is said to be": (data(grpc_message(REQUEST, length=2)), INVALID_ARGUMENT),
    "shorter than it is said to be": (data(grpc_message(REQUEST, length=100)), INVALID_ARGUMENT),
    "shorter by 2 GB": (data(grpc_message(REQUEST, length=2**31 - 1)), INVALID_ARGUMENT),
    "shorter by 4 GB": (data(grpc_message(REQUEST, length=2**32 - 1)), INVALID_ARGUMENT),
}


@pytest.mark.parametrize(("frames", "status"), MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_with_odd_frames_and_prefixes(port, others, frames, status):
    """The call ends with a status, however the message is cut and whatever its prefix says."""
    assert outcome(port, CALL + frames).status == status


def test_a_call_that_announces_compression(port, others):
    """The server refuses an encoding that it knows but does not accept, even if the message does not use it."""
    heads = HEADS + field("grpc-encoding", "gzip")
    assert outcome(port, frame(HEADERS, END_HEADERS, 1, heads) + data(MESSAGE)).status == UNIMPLEMENTED


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="core 1.51 gives an empty message for one that it cannot read, and the room takes it",
)
@pytest.mark.parametrize("flag", [2, 255])
def test_a_message_with_an_unknown_flag(port, flag):
    """gRPC knows the flags 0 and 1. The server should refuse any other."""
    assert outcome(port, CALL + data(grpc_message(REQUEST, flag=flag))).refused


def test_requests_cut_at_every_byte(channel, others):
    """Every prefix of a request is refused, unless it is a valid request itself."""
    whole = {0: "", 6: "Ivan"}
    for end in range(len(REQUEST)):
        if end in whole:
            assert pb.SendMessageRequest.FromString(REQUEST[:end]).author == whole[end]
        else:
            failure(grpc.StatusCode.INVALID_ARGUMENT, send_raw, channel, REQUEST[:end])


PROTOBUF = {
    "author as a number": b"\x08\x05",
    "author as four bytes": b"\x0d1234",
    "author as eight bytes": b"\x0912345678",
    "author as a group": b"\x0b\x0c",
    "the end of a group": b"\x0c",
    "wire type 6": b"\x0e",
    "wire type 7": b"\x0f",
    "field 0": b"\x00\x05",
    "a number of eleven bytes": b"\x18" + b"\x80" * 10 + b"\x01",
    "a length of six bytes": b"\x0a\x84\x80\x80\x80\x80\x00Ivan",
    "an unknown field that is cut": REQUEST + b"\x7a\x05new",
    "an unknown field of wrong type": REQUEST + b"\x7f",
}


@pytest.mark.parametrize("request_", PROTOBUF.values(), ids=PROTOBUF.keys())
def test_invalid_protobuf_is_refused(channel, others, request_):
    """INVALID_ARGUMENT for what protobuf or the types of these fields do not allow."""
    failure(grpc.StatusCode.INVALID_ARGUMENT, send_raw, channel, request_)


ROUNDABOUT = {
    "numbers longer than need be": b"\x8a\x80\x80\x80\x00\x84\x80\x80\x80\x00Ivan\x92\x00\x83\x00hey",
    "fields the other way round": b"\x12\x03hey\x0a\x04Ivan",
    "fields again and again": b"\x0a\x01x\x12\x01y" * 100 + REQUEST,
    "a thousand unknown fields": b"".join(b"\xfa\x3e\x01x" for _ in range(1000)) + REQUEST,
}


@pytest.mark.parametrize("request_", ROUNDABOUT.values(), ids=ROUNDABOUT.keys())
def test_unusual_protobuf_is_accepted(channel, request_):
    """All encodings that protobuf allows."""
    with reading(channel) as reader:
        send_raw(channel, request_)
        message = reader.take(1)[0]
        assert (message.author, message.text) == ("Ivan", "hey")


# Calls that have a status other than OK; whose headers cannot be read, cost their connection.
HEADS_REFUSED = {
    "another path too": HEADS + b"\x04\x02/x",
    "no path": HEADS.replace(b"\x04" + HEADS[3 : 4 + HEADS[3]], b""),
    "GET": b"\x82" + HEADS[1:],
    "no te": HEADS.removesuffix(field("te", "trailers")),
    "bad base64": HEADS + field("x-bin", "!!!!"),
    "index 0": HEADS + b"\x80",
    "an index beyond the table": HEADS + b"\xff\xff\x0f",
    "a table of 4 GB": b"\x3f\xff\xff\xff\xff\x0f" + HEADS,
    "a string that is cut": HEADS + b"\x00\x7eabc",
    "a number without end": HEADS + b"\xff" * 20,
    "nothing": b"",
    "one field of 20 KB": HEADS + b"\x00\x01x\x7f\xa1\x9b\x01" + b"a" * 20_000,
}

# What is taken for no harm: unknown fields, and values that mean nothing.
HEADS_TAKEN = {
    "capitals": HEADS + field("X-Big", "1"),
    "connection": HEADS + field("connection", "close"),
    "an unknown pseudo-header": HEADS + field(":nonsense", "1"),
    "U+0000 in a value": HEADS + field("x", "a\0b"),
    "a line's end in a value": HEADS + field("x", "a\r\nb: c"),
    "an empty name": HEADS + field("", "1"),
}


@pytest.mark.parametrize("heads", HEADS_REFUSED.values(), ids=HEADS_REFUSED.keys())
def test_invalid_headers_are_refused(port, others, heads):
    assert outcome(port, call(heads)).refused


@pytest.mark.parametrize("heads", HEADS_TAKEN.values(), ids=HEADS_TAKEN.keys())
def test_unusual_headers_do_no_harm(port, others, heads):
    """Whether the call is accepted is up to the core."""
    ended = outcome(port, call(heads))
    assert ended.refused or ended.status == OK


def long(number: int) -> bytes:
    return struct.pack(">I", number)


# Ended by the server, the call or the connection.
FRAMES_REFUSED = {
    "no frames": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "settings cut": frame(SETTINGS, 0, 0, bytes(5)),
    "settings of a stream": frame(SETTINGS, 0, 1),
    "a window too wide": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**32 - 1)),
    "frames too small": frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)),
    "a window of nothing": frame(WINDOW_UPDATE, 0, 0, long(0)),
    "a ping cut": frame(PING, 0, 0, bytes(7)),
    "a reset cut": CALL + frame(RST_STREAM, 0, 1, bytes(3)),
    "a length that lies": b"\xff\xff\xff" + CALL[3:],
    "headers that go on without having begun": frame(CONTINUATION, END_HEADERS, 1, HEADS),
    "data amid headers": frame(HEADERS, 0, 1, HEADS[:10]) + data(MESSAGE),
    "headers twice": CALL + CALL + data(MESSAGE),
    "more padding than frame": CALL + frame(DATA, END_STREAM | PADDED, 1, b"\xff" + MESSAGE),
}

# Let be: the call after it has its answer.
FRAMES_IGNORED = {
    "an unknown type": frame(200, 255, 1, b"xyz") + call(HEADS),
    "a priority of its own": frame(PRIORITY, 0, 1, long(1) + b"\0") + call(HEADS),
    "data after the end": call(HEADS) + data(b"more"),
    "a farewell": frame(GOAWAY, 0, 0, bytes(8)) + call(HEADS),
}

# No answer that one could wait for; it is what others see that counts.
FRAMES_STRANGE = {
    "data of no stream": frame(DATA, 0, 0, b"x"),
    "headers of no stream": frame(HEADERS, END_HEADERS, 0, HEADS),
    "a stream of the server's": frame(HEADERS, END_HEADERS, 2, HEADS),
    "a promise": frame(PUSH_PROMISE, END_HEADERS, 1, long(2) + HEADS),
    "a reset of nothing": frame(RST_STREAM, 0, 1, long(0)),
    "a window without end": frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2,
    "pings by the thousand": frame(PING, 0, 0, bytes(8)) * 20_000,
    "settings by the thousand": frame(SETTINGS, 0, 0) * 20_000,
    "empty data by the thousand": CALL + frame(DATA, 0, 1) * 20_000,
    "empty headers by the thousand": frame(HEADERS, 0, 1) + frame(CONTINUATION, 0, 1) * 20_000,
}


@pytest.mark.parametrize("frames", FRAMES_REFUSED.values(), ids=FRAMES_REFUSED.keys())
def test_forbidden_frames(port, others, frames):
    """HTTP/2 forbids them: the call or its connection ends."""
    assert outcome(port, frames).refused


@pytest.mark.parametrize("frames", FRAMES_IGNORED.values(), ids=FRAMES_IGNORED.keys())
def test_ignored_frames(port, others, frames):
    """HTTP/2 says to ignore them."""
    assert outcome(port, frames).status == OK


@pytest.mark.parametrize("frames", FRAMES_STRANGE.values(), ids=FRAMES_STRANGE.keys())
def test_frames_without_an_answer(port, others, frames):
    """They disturb no other connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frames)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has had enough


GREETINGS = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(155),
    "zeros": bytes(100),
    "a preface that goes wrong": PREFACE[:20] + b"XXXX",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS.keys())
def test_other_protocols(port, others, greeting):
    """The server closes the connection."""
    assert outcome(port, b"", greeting).closed


MEGABYTE = 1024 * 1024


def test_an_endless_message_takes_bounded_memory(launch):
    """The message announces 2 GB. The call ends when its memory exceeds the limit."""
    server = launch.server(MESSENGER_CONNECTION_BYTES="32MiB").wait_ready()
    before = server.resident_bytes()
    with closing(Feeder(server.port, HEADS)) as feeder, connected(server.address) as channel:
        # The core compares a message's length with the limit only when it has come whole.
        assert feeder.send(grpc_message(bytes(100 * MEGABYTE), length=2**31 - 1)) < 48 * MEGABYTE
        assert server.resident_bytes() - before < 48 * MEGABYTE
        assert feeder.ended
        send_raw(channel, REQUEST, wait_for_ready=True)


def _unread(port: int, peer: int) -> int:
    """The bytes that the server's system has received from this peer and the server has not read."""
    ports = f":{port:04X}", f":{peer:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1][-5:], fields[2][-5:]) == ports:
            return int(fields[4].split(":")[1], 16)
    return 0


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="core 1.51 counts the metadata of each frame by itself, so CONTINUATION frames have no bound together",
)
def test_endless_headers_take_bounded_memory(launch):
    """The server does not keep 30 MB of header fields that never end."""
    server = launch.server().wait_ready()
    bound = server.resident_bytes() + 32 * MEGABYTE
    fields = b"".join(field(f"x{index}", "a" * 100) for index in range(140))
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        try:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, HEADS))
            for _ in range(2000):
                connection.sendall(frame(CONTINUATION, 0, 1, fields))
                # Send no faster than the server reads: it ends a connection that floods it.
                while _unread(server.port, connection.getsockname()[1]) > 32_000:
                    time.sleep(0.0005)
                if server.resident_bytes() > bound:
                    break
        except OSError:
            pass
        assert server.resident_bytes() <= bound
