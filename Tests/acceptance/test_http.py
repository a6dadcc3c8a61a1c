"""The client's HTTP API: what it accepts, what it refuses, and with which error."""

import json
from pathlib import Path

import pytest

from support.room import collect, unique
from support.tools import curl

SEND, FLUSH = "/sendMessage", "/getAndFlushMessages"


def error_of(response) -> str:
    """Checks the form of an error, and returns its sentence."""
    assert "application/json" in response.headers["Content-Type"]
    answer = response.json()
    assert list(answer) == ["sendTime", "error"]
    assert answer["sendTime"] is None
    assert isinstance(answer["error"], str) and answer["error"] and "\n" not in answer["error"]
    return answer["error"]


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream", None],
)
def test_any_content_type_is_accepted(room, content_type):
    """`curl -d` says that the JSON is a form."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = room.client1.request("POST", SEND, b'{"author": "Ivan", "text": "hey"}', headers)
    assert response.status == 200
    assert "application/json" in response.headers["Content-Type"]


def test_a_chunked_body(room):
    """Chunks may cut a character in two."""
    body = json.dumps({"author": "Пётр", "text": "по кускам"}, ensure_ascii=False).encode()
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    response = room.client1.request("POST", SEND, iter(pieces))
    assert response.status == 200
    assert collect(room.client1, 1)[0]["text"] == "по кускам"


TEXTS = {
    "empty": "",
    "quotes and backslashes": '"\\" \\n \\u0041 /',
    "white space": " \t\r\n ",
    "other scripts": "Привет, 世界, שלום, नमस्ते",
    "beyond the basic plane": "👩‍👩‍👧‍👦 𝄞",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f",
    "U+0000": "before\x00after",
    "line separators": "\u2028\u2029\u0085",
    "noncharacters": "\ufeff\ufffe\uffff\ufffd",
    "markup": "</script><!-- ${x} %s {}",
    "decomposed": "e\u0301 is not \u00e9",
    "the longest": "я" * (32 * 1024),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "as it is"])
def test_every_text_arrives_as_it_was_sent(room, text, ascii_only):
    """Any Unicode text, escaped or not, is the same in both clients."""
    body = json.dumps({"author": text[:64], "text": text}, ensure_ascii=ascii_only)
    assert room.client1.request("POST", SEND, body).status == 200
    for client in room.client1, room.client2:
        message = collect(client, 1)[0]
        assert (message["author"], message["text"]) == (text[:64], text)


def test_the_longest_author_is_accepted(room):
    """256 bytes."""
    room.client1.send("a" * 256, "")
    assert collect(room.client1, 1)[0]["author"] == "a" * 256


BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"hey",
    "a form": b"author=Ivan&text=hey",
    "cut short": b'{"author": "Ivan", "text": "he',
    "something after the end": b'{"author": "Ivan", "text": "hey"} {}',
    "an array": b'["Ivan", "hey"]',
    "a string": b'"hey"',
    "null": b"null",
    "no author": b'{"text": "hey"}',
    "no text": b'{"author": "Ivan"}',
    "author is a number": b'{"author": 1, "text": "hey"}',
    "text is null": b'{"author": "Ivan", "text": null}',
    "text is an object": b'{"author": "Ivan", "text": {"text": "hey"}}',
    "a lone surrogate": b'{"author": "Ivan", "text": "\\ud800"}',
    "surrogates in the wrong order": b'{"author": "Ivan", "text": "\\udc00\\ud800"}',
    "not UTF-8": b'{"author": "Ivan", "text": "\xff\xfe"}',
    "a surrogate in UTF-8": b'{"author": "Ivan", "text": "\xed\xa0\x80"}',
    "an overlong form in UTF-8": b'{"author": "Ivan", "text": "\xc0\xaf"}',
    "UTF-16": '{"author": "Ivan", "text": "hey"}'.encode("utf-16"),
    "an unescaped control character": b'{"author": "Ivan", "text": "\n"}',
    "an unknown escape": b'{"author": "Ivan", "text": "\\x41"}',
    "nested 20,000 deep": b"[" * 20_000 + b"]" * 20_000,
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_malformed_body_is_refused(room, body):
    """Anything but an object with two strings gets 400 with a sentence, and does not enter the room."""
    response = room.client1.request("POST", SEND, body)
    assert response.status == 400
    error_of(response)
    marker = unique("marker")
    room.client1.send(marker, "")
    assert [message["author"] for message in collect(room.client1, 1)] == [marker]


@pytest.mark.parametrize(
    ("author", "text"),
    [("a" * 257, "hey"), ("Ivan", "a" * (64 * 1024 + 1)), ("Ivan", "я" * (32 * 1024) + "!")],
    ids=["author", "text", "text in Cyrillic"],
)
def test_a_too_long_message_is_refused(room, author, text):
    """One byte over the limit of the author or the text: 413, and it does not enter the room."""
    response = room.client1.request("POST", SEND, {"author": author, "text": text})
    assert response.status == 413
    error_of(response)
    marker = unique("marker")
    room.client1.send(marker, "")
    assert [message["author"] for message in collect(room.client1, 1)] == [marker]


def test_a_huge_body_is_refused(room, tmp_path):
    """curl sends 5 MB of JSON and gets 413."""
    body = tmp_path / "huge.json"
    body.write_text(json.dumps({"author": "Ivan", "text": "a" * 5_000_000}))
    answer = Path(tmp_path / "answer")
    status = curl(
        *("-X", "POST", "--data-binary", f"@{body}", "-o", str(answer), "-w", "%{http_code}"),
        f"{room.client1.address}{SEND}",
    )
    assert status == "413"
    assert json.loads(answer.read_text())["error"]
    room.client1.send("Ivan", "still there")


@pytest.mark.parametrize("path", ["/page", "/nothing", "/sendMessage/more", "/SENDMESSAGE"])
def test_an_unknown_path_is_not_found(room, path):
    """404, in the form of all errors."""
    response = room.client1.request("POST", path, b"{}")
    assert response.status == 404
    error_of(response)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SEND, "POST"),
        ("PUT", SEND, "POST"),
        ("GET", FLUSH, "POST"),
        ("DELETE", FLUSH, "POST"),
        ("POST", "/healthz", "GET"),
        ("POST", "/readyz", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(room, method, path, allowed):
    """405 with Allow. A GET, as from a browser, empties no buffer."""
    time = room.client1.send("Ivan", "hey")
    response = room.client1.request(method, path)
    assert response.status == 405
    assert allowed in [name.strip() for name in response.headers["Allow"].split(",")]
    error_of(response)
    assert [message["sendTime"] for message in collect(room.client1, 1)] == [time]


def test_health_and_readiness(room):
    """Both answer 200 with JSON while the stream is open."""
    for path in "/healthz", "/readyz":
        response = room.client1.request("GET", path)
        assert response.status == 200
        assert "application/json" in response.headers["Content-Type"]
        assert isinstance(response.json(), dict)


@pytest.mark.slow
def test_a_flush_of_16_MB(room):
    """It is one valid JSON array with all messages in order."""
    count, text = 256, "x" * (64 * 1024)
    with room.client1.connection() as connection:
        times = [connection.send("Ivan", text) for _ in range(count)]
    received = collect(room.client2, count)
    assert [message["sendTime"] for message in received] == times
    assert all(message["text"] == text for message in received)


def test_one_connection_serves_many_requests(room):
    """Requests and errors in turn on a kept-alive connection."""
    with room.client1.connection() as connection:
        for index in range(20):
            assert connection.request("POST", SEND, b"{").status == 400
            assert connection.request("POST", "/nothing", b"{}").status == 404
            connection.send("Ivan", str(index))
    assert [message["text"] for message in collect(room.client1, 20)] == [str(index) for index in range(20)]
