"""Bytes that no HTTP client sends: one error, or the end of the connection.

Bytes inside a request are never taken for another request, and a refused message does not enter the room.
"""

import json
import re

import pytest

from support.raw import http_exchange
from support.room import collect, unique

BODY = b'{"author": "Ivan", "text": "hey"}'
#: A request that would be seen if it were taken for one.
SMUGGLED = b'POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\n{"author": "smuggled", "text": ""}  '


def post(*heads: bytes, body: bytes = BODY, start: bytes = b"POST /sendMessage HTTP/1.1") -> bytes:
    return b"\r\n".join((start, b"Host: a", *heads)) + b"\r\n\r\n" + body


def length(content: bytes = BODY) -> bytes:
    return b"Content-Length: %d" % len(content)


CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

REFUSED = {
    "length and chunks": post(length(), CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "chunks and length": post(CHUNKED, b"Content-Length: 4", body=b"5c\r\n" + SMUGGLED),
    "two lengths": post(length(), b"Content-Length: 0", body=SMUGGLED),
    "a length with a sign": post(b"Content-Length: +33"),
    "a length below zero": post(b"Content-Length: -1"),
    "a length in hexadecimal": post(b"Content-Length: 0x21"),
    "a length of two numbers": post(b"Content-Length: 33, 33"),
    "a length beyond 64 bits": post(b"Content-Length: 18446744073709551649"),
    "an empty length": post(b"Content-Length: "),
    "no encoding at all": post(b"Transfer-Encoding: nonsense", body=SMUGGLED),
    "chunks first": post(b"Transfer-Encoding: chunked, identity", body=CHUNKS),
    "space before the colon": post(b"Content-Length : 33"),
    "a field without a colon": post(b"nonsense", length()),
    "U+0000 in a field": post(b"X: a\0b", length()),
    "a folded field": post(b"X: a\r\n b: c", length()),
    "a chunk's size that is none": post(CHUNKED, body=b"xyz\r\n"),
    "a chunk's size below zero": post(CHUNKED, body=b"-1\r\n"),
    "a chunk's size beyond 64 bits": post(CHUNKED, body=b"FFFFFFFFFFFFFFFFF\r\n"),
    "a chunk longer than it says": post(CHUNKED, body=b"2\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "nonsense": b"nonsense\r\n\r\n",
    "spaces in the path": post(length(), start=b"POST /send Message HTTP/1.1"),
    "HTTP/9.9": post(length(), start=b"POST /sendMessage HTTP/9.9"),
    "an unknown method": post(length(), start=b"NONSENSE /sendMessage HTTP/1.1"),
    "100 KB of path": post(length(), start=b"POST /" + b"a" * 100_000 + b" HTTP/1.1"),
    "20 KB of a field": post(length(), b"X: " + b"a" * 20_000),
    "20 KB of a field's name": post(length(), b"a" * 20_000 + b": 1"),
    "a thousand fields": post(length(), *(b"X-%d: 1" % index for index in range(1_000))),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a length of 9 EB": post(b"Content-Length: 9223372036854775807", body=b""),
    "no chunks, to where there is nothing": post(CHUNKED, body=b"xyz\r\n", start=b"POST /nothing HTTP/1.1"),
    "a body that is cut": post(b"Content-Length: 100"),
    "a chunk that is cut": post(CHUNKED, body=b"21\r\n{"),
}

SILENT = {
    "nothing": b"",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(155),
    "zeros": bytes(1000),
    "half a line": b"POST /send",
    "half a head": b"POST /sendMessage HTTP/1.1\r\nHost: a\r\n",
}

TAKEN = {
    "one after the other": (post(length()) + post(length()), 2),
    "chunks with extensions": (post(CHUNKED, body=b"21;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"), 1),
    "chunks with a trailer": (post(CHUNKED, body=b"21\r\n" + BODY + b"\r\n0\r\nX: 1\r\n\r\n"), 1),
    "chunks of one byte": (post(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"), 1),
    "HTTP/1.0": (post(length(), start=b"POST /sendMessage HTTP/1.0"), 1),
    "a query": (post(length(), start=b"POST /sendMessage?a=b HTTP/1.1"), 1),
}


@pytest.fixture
def port(room) -> int:
    host, _, port = room.client1.address.rpartition(":")
    if host != "localhost":
        pytest.skip("the client is on another machine")
    return int(port)


def only(room, count: int = 0) -> None:
    """Exactly this many of Ivan's messages are in the room, and no others; and the client still works."""
    marker = unique("marker")
    room.client1.send(marker, "")
    got = [message["author"] for message in collect(room.client1, count + 1)]
    assert got == ["Ivan"] * count + [marker]


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
def test_malformed_requests_are_refused(room, port, request_):
    """One 4xx with a sentence in JSON, or no answer. Nothing enters the room."""
    answers = http_exchange(port, request_)
    assert len(statuses(answers)) <= 1 and all(400 <= status < 500 for status in statuses(answers)), answers
    if answers:
        assert json.loads(answers.partition(b"\r\n\r\n")[2])["error"]
    only(room)


@pytest.mark.parametrize("request_", SILENT.values(), ids=SILENT.keys())
def test_bytes_that_are_no_request(room, port, request_):
    """The connection ends, with at most one error."""
    assert statuses(http_exchange(port, request_)) in ([], [400])
    only(room)


@pytest.mark.parametrize(("requests", "count"), TAKEN.values(), ids=TAKEN.keys())
def test_unusual_requests_are_accepted(room, port, requests, count):
    """HTTP allows them. Each counts once."""
    assert statuses(http_exchange(port, requests)) == [200] * count
    only(room, count)


LIMITS = {
    "too many fields": (post(length(), *(b"X-%d: 1" % index for index in range(100))), [431]),
    "too many fields after another request": (
        post(length()) + post(length(), *(b"X-%d: 1" % index for index in range(100))),
        [200, 431],
    ),
    "a long target, then too many fields": (
        post(*(b"X-%d: 1" % index for index in range(100)), start=b"POST /" + b"a" * 5_000 + b" HTTP/1.1"),
        [431],
    ),
    "a long field": (post(length(), b"X: " + b"a" * 9_000), [431]),
    "a too long target": (post(length(), start=b"POST /" + b"a" * 8_200 + b" HTTP/1.1"), [414]),
    "an endless target": (b"POST /" + b"a" * 100_000, [414]),
}


@pytest.mark.parametrize(("requests", "expected"), LIMITS.values(), ids=LIMITS.keys())
def test_the_status_says_what_is_too_long(port, requests, expected):
    """431 for header fields, 414 for the target."""
    assert statuses(http_exchange(port, requests)) == expected


SPACES = {
    "a length": (post(length() + b"  "), [200]),
    "chunks": (post(CHUNKED + b" ", body=CHUNKS) + post(length()), [200, 200]),
    "an encoding": (post(length(), b"Content-Encoding: identity \t"), [200]),
    "an expectation": (post(length(), b"Expect: 100-continue "), [100, 200]),
    "a host": (b"GET /healthz HTTP/1.1\r\nHost: a \r\n\r\n", [200]),
    "the last request": (post(length(), b"Connection: close ") + post(length()), [200]),
    "an empty field": (post(length(), b"X: \t "), [200]),
}


@pytest.mark.parametrize(("requests", "expected"), SPACES.values(), ids=SPACES.keys())
def test_white_space_after_a_value_is_no_part_of_it(port, requests, expected):
    assert statuses(http_exchange(port, requests)) == expected


def test_a_key_is_the_same_with_white_space_around_it(room, port):
    key = unique("key").encode()
    fields = [b"Idempotency-Key:" + before + key + after for before in (b"", b"\t ") for after in (b"", b" \t")]
    answers = {http_exchange(port, post(length(), field)).partition(b"\r\n\r\n")[2] for field in fields}
    assert len(answers) == 1
    only(room, 1)


def test_a_request_within_a_body_is_a_body(room, port):
    """The length decides where a body ends."""
    assert statuses(http_exchange(port, post(length(SMUGGLED), body=SMUGGLED) + post(length()))) == [400, 200]
    only(room, 1)


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_a_long_answer_on_a_half_closed_connection(room, port, version):
    """It arrives whole at a peer that has closed its sending side, and without chunks in HTTP/1.0."""
    times = [room.client1.send("Ivan", "x" * 60_000) for _ in range(100)]
    flush = post(b"Content-Length: 0", body=b"", start=b"POST /getAndFlushMessages " + version)
    head, _, body = http_exchange(port, flush).partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        assert version == b"HTTP/1.1"
        body = unchunked(body)
    assert [message["sendTime"] for message in json.loads(body)] == times


def unchunked(body: bytes) -> bytes:
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if not int(size, 16):
            return whole
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]


BODIES = {
    "a lone surrogate that nobody asked for": b'{"author": "a", "text": "b", "c": "\\udfff"}',
    "a lone surrogate in a key": b'{"\\ud800": 1, "author": "a", "text": "b"}',
    "half a surrogate pair": b'{"author": "a", "text": "\\ud83d\\u0041"}',
    "nested 65 deep": b'{"author": "a", "text": "b", "c": ' + b"[" * 65 + b"]" * 65 + b"}",
    "nested objects": b'{"c":' * 5_000 + b"1" + b"}" * 5_000,
    "open without end": b'{"c": ' + b"[" * 100_000,
    "a number of 100,000 digits, and a letter": b'{"c": ' + b"1" * 100_000 + b"x}",
    "a key 10,000 times": b"{" + b'"author": "a", ' * 10_000 + b'"text": "b"}',
    "U+0000 between values": b'{"author": "a",\0 "text": "b"}',
    "a comma too many": b'{"author": "a", "text": "b",}',
    "single quotes": b"{'author': 'a', 'text': 'b'}",
    "a comment": b'{"author": "a", /* */ "text": "b"}',
    "Infinity": b'{"author": "a", "text": "b", "c": Infinity}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_invalid_json_is_refused(room, body):
    """400 with a sentence, at once."""
    response = room.client1.request("POST", "/sendMessage", body)
    assert response.status == 400, response
    assert response.json()["sendTime"] is None and response.json()["error"]
    only(room)
