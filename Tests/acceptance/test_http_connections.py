"""The client's HTTP connections: memory, slow peers, peers that leave, browsers, odd requests.

(test_connection_limits has the timeouts and the connections kept for health checks, test_listening the addresses.)
"""

import json
import socket
import struct
import time
from contextlib import ExitStack, closing

import pytest

from support import usage
from support.api import connected, pb, stub
from support.raw import http_exchange
from support.room import collect
from support.waiting import wait_until

FLUSH = b"POST /getAndFlushMessages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
BODY = b'{"author": "Ivan", "text": "hey"}'
MEBIBYTE = 1 << 20


def connection(port: int, said: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
    """A connection that has sent as much as it could without waiting."""
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(20)
    peer.connect(("127.0.0.1", port))
    peer.setblocking(False)
    while said:
        try:
            said = said[peer.send(said) :]
        except BlockingIOError:
            break
    peer.settimeout(20)
    return peer


def fill(server, client, count: int, size: int = 60_000) -> list[str]:
    """Sends messages by way of the server, and waits until the client has them. Returns their authors."""
    before = client.http.request("GET", "/readyz").json()["received"]
    with connected(server.address) as channel:
        for index in range(count):
            stub(channel).SendMessage(pb.SendMessageRequest(author=str(index), text="x" * size))
    wait_until(lambda: client.http.request("GET", "/readyz").json()["received"] == before + count, "all have arrived")
    return [str(index) for index in range(count)]


# --- memory ---


def test_pipelined_requests_and_half_bodies(launch):
    """200 peers pipeline 200 KB of requests, 200 others stop in the middle of a body: memory stays within the budget.

    Some get 503. Others can use the memory at once, and the system gets it back within 10 s.
    """
    client = launch.client("localhost:1", MESSENGER_HTTP_BYTES="16MiB", MESSENGER_OPEN_TIMEOUT="1h").wait_live()
    before = usage.resident_bytes(client.pid)
    waits = b"POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
    behind = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000
    half = b"POST /sendMessage HTTP/1.1\r\nHost: a\r\nContent-Length: 390000\r\n\r\n" + b" " * 380_000
    with ExitStack() as peers:
        for _ in range(200):
            peers.enter_context(closing(connection(client.port, waits + behind)))
        senders = [peers.enter_context(closing(connection(client.port, half))) for _ in range(200)]
        wait_until(lambda: sum(map(is_refused, senders)) > 150, "the budget is not for all of them")
        assert client.http.request("GET", "/healthz").status == 200
        grown = usage.resident_bytes(client.pid) - before
        assert grown < 48 * MEBIBYTE, f"{grown / MEBIBYTE:.0f} MiB for a budget of 16"
    wait_until(lambda: client.http.request("GET", "/healthz").status == 200, "there is memory again")
    wait_until(lambda: usage.resident_bytes(client.pid) - before < 24 * MEBIBYTE, "the memory is given back", within=30)


def is_refused(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        answer = peer.recv(1000, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in answer, answer
    return True


# --- slow peers ---


@pytest.mark.slow
def test_a_reader_at_1_KiB_a_second_is_served(launch):
    """It needs longer than the timeout of a stalled peer, and gets everything."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_HTTP_REQUEST_TIMEOUT="1s").wait_ready()
    authors = fill(server, client, 10, 12_000)
    with closing(connection(client.port, FLUSH.replace(b"1.1", b"1.0"), receive_buffer=16384)) as slow:
        received = b""
        while data := slow.recv(2048):
            received += data
            if len(received) < 90_000:
                leased = client.http.request("GET", "/readyz").json()
                assert (leased["buffered"], leased["leased"]) == (0, 10) and leased["leasedBytes"] > 100_000
                time.sleep(0.1)
    assert [message["author"] for message in json.loads(received.partition(b"\r\n\r\n")[2])] == authors
    wait_until(lambda: client.http.request("GET", "/readyz").json()["leased"] == 0, "the messages are delivered")


def test_a_reader_that_is_too_slow(launch):
    """Below 1 KiB/s the connection ends. The next one gets its messages, in order."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_HTTP_REQUEST_TIMEOUT="500ms").wait_ready()
    authors = fill(server, client, 100)
    with closing(connection(client.port, FLUSH, receive_buffer=4096)) as slow:

        def is_back() -> bool:
            slow.recv(10)
            return client.http.request("GET", "/readyz").json()["buffered"] == len(authors)

        wait_until(is_back, "the messages are back")
        assert [message["author"] for message in collect(client.http, len(authors))] == authors


@pytest.mark.parametrize("size", [10, 60_000], ids=["a short answer", "a long one"])
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_peer_that_leaves_loses_no_messages(launch, reset, size):
    """20 peers ask and close at once: all messages are still there, in order, each once.

    The client is frozen meanwhile. On a busy machine a peer might close only after its TCP has acknowledged a short
    answer.
    """
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    authors = fill(server, client, 20, size)
    for _ in range(4):
        client.freeze()
        for _ in range(5):
            peer = connection(client.port, FLUSH)
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        client.thaw()
    assert [message["author"] for message in collect(client.http, 20)] == authors


def test_a_half_closed_connection_gets_its_answer(launch):
    """A peer that closes its sending side and reads gets the messages, once."""
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    authors = fill(server, client, 20)
    body = http_exchange(client.port, FLUSH.replace(b"1.1", b"1.0")).partition(b"\r\n\r\n")[2]
    assert [message["author"] for message in json.loads(body)] == authors
    assert client.http.flush() == []


def test_a_stop_logs_the_number_of_unread_messages(launch):
    server = launch.server().wait_ready()
    client = launch.client(server.address).wait_ready()
    fill(server, client, 3, 10)
    client.stop()
    assert "messages not fetched count=3" in client.log()


# --- browsers ---

PORT = "PORT"
BROWSERS = {
    "curl": ("GET", {"Host": "chat.example.com", "User-Agent": "curl/8"}, True),
    "a program in Node.js": ("POST", {"Host": "chat.example.com", "Sec-Fetch-Mode": "cors"}, True),
    "another site's page": ("POST", {"Host": "localhost:PORT", "Origin": "http://evil.example"}, False),
    "another port's page": ("POST", {"Host": "localhost:PORT", "Origin": "http://localhost:1"}, False),
    "a page without an origin": ("POST", {"Host": "localhost:PORT", "Origin": "null"}, False),
    "an empty origin": ("POST", {"Host": "localhost:PORT", "Origin": ""}, False),
    "a form of another site": ("POST", {"Host": "127.0.0.1:PORT", "Sec-Fetch-Site": "cross-site"}, False),
    "a page of a neighbour": ("GET", {"Host": "localhost:PORT", "Sec-Fetch-Site": "same-site"}, False),
    "an unknown site": ("GET", {"Host": "localhost:PORT", "Sec-Fetch-Site": "SAME-ORIGIN"}, False),
    "a form of an old browser": ("POST", {"Host": "localhost:PORT", "Referer": "http://evil.example/x"}, False),
    "an address typed in": ("GET", {"Host": "localhost:PORT", "Sec-Fetch-Site": "none"}, True),
    "an extension": ("POST", {"Host": "localhost:PORT", "Sec-Fetch-Site": "none"}, False),
    "a link": ("GET", {"Host": "localhost:PORT", "Referer": "http://evil.example/"}, True),
    "our own page": (
        "POST",
        {"Host": "LOCALHOST:PORT", "Origin": "http://localhost:PORT", "Sec-Fetch-Site": "same-origin"},
        True,
    ),
    "our own page by address": ("POST", {"Host": "[::1]:PORT", "Origin": "http://[::1]:PORT"}, True),
    "our own page by a short name": ("POST", {"Host": "client1:PORT", "Origin": "http://client1:PORT"}, True),
    "our own page by an allowed name": ("POST", {"Host": "ok.example.com.", "Origin": "https://ok.example.com."}, True),
    "DNS rebinding": ("POST", {"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"}, False),
    "DNS rebinding that reads": ("GET", {"Host": "evil.example:PORT", "User-Agent": "Mozilla/5.0 (X11)"}, False),
    "DNS rebinding by something like an address": (
        "POST",
        {"Host": "127.0.0.1.evil.example:PORT", "Origin": "http://127.0.0.1.evil.example:PORT"},
        False,
    ),
    "no host": ("GET", {"Origin": "http://localhost:PORT"}, False),
}


def test_pages_of_other_origins_are_refused(launch):
    """They get 403 and change nothing. Requests without a browser's headers are not affected."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, MESSENGER_HTTP_ALLOWED_HOSTS="other, OK.example.com").wait_ready()
    fill(server, client, 1, 10)
    for name, (method, fields, is_answered) in BROWSERS.items():
        version = "1.1" if "Host" in fields else "1.0"
        lines = [f"{method} {'/getAndFlushMessages' if method == 'POST' else '/readyz'} HTTP/{version}"]
        lines += [f"{field}: {value}".replace(PORT, str(client.port)) for field, value in fields.items()]
        before = client.http.request("GET", "/readyz").json()["buffered"]
        answer = http_exchange(client.port, "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())
        assert answer.split()[1] == (b"200" if is_answered else b"403"), (name, answer)
        if not is_answered:
            assert client.http.request("GET", "/readyz").json()["buffered"] == before, name
        elif method == "POST":
            assert b"".join(answer.split())[-1:] == b"]"
            wait_until(lambda: client.http.request("GET", "/readyz").json()["leased"] == 0, "it is delivered")
            fill(server, client, 1, 10)


# --- odd requests ---


def post(*fields: bytes, start: bytes = b"POST /sendMessage HTTP/1.1", host: bytes = b"Host: a") -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *fields]) + b"\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d" % len(BODY)
ASKS = b"Expect: 100-continue"
ENDING = {
    "chunks in HTTP/1.0": (400, post(CHUNKED, start=b"POST /sendMessage HTTP/1.0") + CHUNKS),
    "an empty encoding": (400, post(b"Transfer-Encoding:") + CHUNKS),
    "an encoding twice": (400, post(CHUNKED, CHUNKED) + CHUNKS),
    "an encoding twice in a field": (400, post(b"Transfer-Encoding: chunked, chunked") + CHUNKS),
    "an empty encoding and a length": (400, post(b"Transfer-Encoding:", LENGTH) + BODY),
    "identity": (400, post(b"Transfer-Encoding: identity", LENGTH) + BODY),
    **{
        f"the host {host!r}": (400, post(LENGTH, host=b"Host: " + host) + BODY)
        for host in (
            b"",
            b"a b",
            b"a/b",
            b"user@a",
            b"a:b",
            b"a:65536",
            b"[::1",
            b"[a]",
            b"a?",
            b"a:1:2",
            b"\xff",
            b".",
        )
    },
    "a long target": (414, post(LENGTH, start=b"POST /" + b"a" * 9_000 + b" HTTP/1.1") + BODY),
    "a target without an end": (414, b"GET /" + b"a" * 60_000),
    "a long field": (431, post(b"X: " + b"a" * 9_000)),
    "white space without an end": (431, b"GET / HTTP/1.1\r\nHost:" + b" " * 60_000),
    "an extension of a chunk without an end": (400, post(CHUNKED) + b"1;" + b"a" * 1_000_000),
    "many extensions": (400, post(CHUNKED) + (b"1;" + b"a" * 500 + b"\r\nx\r\n") * 1_000),
    "asks whether to send to nowhere": (404, post(LENGTH, ASKS, start=b"POST /nothing HTTP/1.1")),
    "asks whether to send with another method": (405, post(LENGTH, ASKS, start=b"PUT /sendMessage HTTP/1.1")),
    "asks whether to send compressed": (415, post(LENGTH, ASKS, b"Content-Encoding: br")),
    "asks whether to send too much": (413, post(b"Content-Length: 9999999", ASKS)),
}


def test_odd_requests(room):
    """Each gets one answer, and the connection ends. What follows is not taken for a request."""
    host, _, port = room.client1.address.rpartition(":")
    if host != "localhost":
        pytest.skip("the client is on another machine")
    for name, (status, said) in ENDING.items():
        with closing(connection(int(port), said)) as peer:
            answer = b""
            try:
                while data := peer.recv(1 << 16):
                    answer += data
            except ConnectionResetError:
                pass
        assert answer.startswith(b"HTTP/1.1 %d " % status) or answer.startswith(b"HTTP/1.0 %d " % status), (
            name,
            answer,
        )
        assert answer.count(b"HTTP/1.") == 1 and b"\r\nConnection: close\r\n" in answer, (name, answer)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"], name
    for encoding in "gzip", "deflate", "identity, gzip", "":
        answer = room.client1.request("POST", "/sendMessage", BODY, {"Content-Encoding": encoding})
        assert answer.status == 415, encoding
    assert room.client1.request("POST", "/sendMessage", BODY, {"Content-Encoding": "Identity"}).status == 200
    assert [message["author"] for message in collect(room.client1, 1)] == ["Ivan"]


def test_keep_alive_is_longer_than_that_of_proxies(room):
    """Proxies reuse a connection for 60 to 90 s. A Keep-Alive header tells others."""
    answer = room.client1.request("GET", "/healthz")
    assert 90 < int(answer.headers["Keep-Alive"].removeprefix("timeout=")) < 120
