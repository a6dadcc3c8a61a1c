"""Tokens that the client's HTTP requests need, and the token that the client shows to its server."""

import re
import socket
from contextlib import suppress

import pytest

from support.api import connected, pb, stub
from support.events import EventReader
from support.http import Response
from support.processes import free_port, one_line
from support.tokens import bearer, http_bearer
from support.waiting import wait_until

HELLO = {"author": "Ann", "text": "hi"}
REFUSED = "The server refuses this client's token."

#: Each request that needs a token, and the right for it.
REQUESTS = [
    ("POST", "/sendMessage", HELLO, "send"),
    ("POST", "/getAndFlushMessages", None, "read"),
    ("GET", "/messages", None, "read"),
    ("GET", "/messages?last=1", None, "read"),
]


@pytest.fixture
def client(launch, tokens):
    server = launch.server().wait_ready()
    settings = {"MESSENGER_HTTP_TOKENS_FILE": tokens.path, "MESSENGER_LOG_LEVEL": "trace"}
    return launch.client(server.address, **settings).wait_ready()


def error(response: Response) -> str:
    assert list(response.json()) == ["sendTime", "error"] and response.json()["sendTime"] is None
    return response.json()["error"]


@pytest.mark.parametrize(("method", "path", "body", "right"), REQUESTS)
def test_http_requests_need_a_token_with_a_right(client, tokens, method, path, body, right):
    good, other = tokens.add("good", right), tokens.add("other", "read" if right == "send" else "send")
    client.reread("tokens reread")

    def request(headers) -> Response:
        return client.http.request(method, path, body, headers)

    for headers in None, http_bearer("unknown"), http_bearer(good + "x"), {"Authorization": f"Basic {good}"}:
        response = request(headers)
        assert response.status == 401 and "token" in error(response), response
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    response = request(http_bearer(other))
    assert response.status == 403 and right in error(response)
    assert request(http_bearer(good)).status == 200


def test_health_and_the_page_are_open(client):
    assert client.http.request("GET", "/healthz").status == 200
    assert client.http.request("GET", "/readyz").status == 200
    page = client.http.request("GET", "/")
    assert page.status == 200
    files = re.findall(rb'(?:src|href)="(/[^"]+)"', page.body)
    assert files
    for file in files:
        assert client.http.request("GET", file.decode()).status == 200


def test_other_paths_need_a_token(client):
    for path in ["/other", "//sendMessage", "/healthz/", "/sendMessage/", "/%2e/messages"]:
        assert client.http.request("GET", path).status == 401, path


def test_a_token_over_its_rate(client, tokens):
    """429 says when to try again, and by then the token may send."""
    slow, other = http_bearer(tokens.add("slow", "send", "1/s")), http_bearer(tokens.add("other"))
    client.reread("tokens reread")

    def send(headers) -> Response:
        return client.http.request("POST", "/sendMessage", HELLO, headers)

    limited = wait_until(lambda: next((r for r in [send(slow)] if r.status == 429), None), "it is over its rate")
    assert limited.headers["Retry-After"] == "1" and "1 messages a second" in error(limited)
    assert send(other).status == 200
    wait_until(lambda: send(slow).status == 200, "the token may send again", within=10)


def test_sighup_rereads_the_tokens_for_http(client, tokens):
    """A bad file changes nothing."""
    first = tokens.add("first")
    client.reread("tokens reread")

    def status(token: str) -> int:
        return client.http.request("POST", "/sendMessage", HELLO, http_bearer(token)).status

    assert status(first) == 200
    tokens.path.write_text("first 12 read\n")
    assert "line 1: " in client.reread("tokens not reread")
    assert status(first) == 200
    second = tokens.add("second")
    tokens.remove(first)
    client.reread("tokens reread")
    assert (status(first), status(second)) == (401, 200)


def test_no_http_token_is_in_the_log(client, tokens):
    token, wrong = tokens.add("ann"), "w" * 40
    client.reread("tokens reread")
    for each in token, wrong:
        client.http.request("POST", "/sendMessage", HELLO, http_bearer(each))
    client.stop()
    assert token not in client.log() and wrong not in client.log()


@pytest.mark.parametrize(("has_tokens", "host", "said"), [(False, "*", 1), (True, "*", 1), (True, "localhost", 0)])
def test_the_log_says_who_may_use_http(launch, tokens, has_tokens, host, said):
    settings = {"MESSENGER_HTTP_TOKENS_FILE": tokens.path} if has_tokens else {}
    client = launch.client("localhost:1", MESSENGER_HTTP_HOST=host, **settings).wait_live()
    client.stop()
    line = "tokens cross the network without encryption" if has_tokens else "no token is needed"
    assert client.log().count(line) == said and ("no token is needed" in client.log()) != has_tokens


# The client's own token.


@pytest.fixture
def guarded(launch, tokens):
    """A server that wants tokens."""
    return launch.server(MESSENGER_TOKENS_FILE=tokens.path).wait_ready()


@pytest.fixture
def token_file(tmp_path):
    return tmp_path / "token"


def test_the_client_shows_its_token(launch, guarded, tokens, token_file):
    token = tokens.add("client")
    guarded.reread("tokens reread")
    token_file.write_text(token + "\n")
    client = launch.client(guarded.address, MESSENGER_TOKEN_FILE=token_file, MESSENGER_LOG_LEVEL="trace").wait_ready()
    client.http.send("Ann", "hi")
    assert [message["text"] for message in client.http.flush()] == ["hi"]
    assert len(client.http.request("GET", "/messages").json()) == 1
    client.stop()
    assert token not in client.log()


@pytest.mark.parametrize("has_token", [False, True])
def test_a_client_that_the_server_refuses(launch, guarded, tokens, token_file, has_token):
    """It logs one line, does not spin, tells its users, and works after SIGHUP with a good token."""
    token_file.write_text("unknown")
    settings = {"MESSENGER_TOKEN_FILE": token_file} if has_token else {}
    client = launch.client(guarded.address, MESSENGER_OPEN_TIMEOUT="1s", **settings).wait_live()
    said = "the server refuses this client's token"
    wait_until(lambda: said in client.log(), "a line that says so")
    for method, path, body, _ in REQUESTS:
        response = client.http.request(method, path, body)
        assert (response.status, error(response)) == (502, REFUSED), path
    assert client.http.request("GET", "/readyz").status == 503
    assert client.log().count(said) == 1
    if has_token:
        token_file.write_text(tokens.add("client"))
        guarded.reread("tokens reread")
        client.reread("token reread")
        client.wait_ready()
        client.http.send("Ann", "hi")


def test_a_refused_client_does_not_spin(launch, guarded):
    client = launch.client(guarded.address, MESSENGER_LOG_LEVEL="debug").wait_live()
    tries = "stream still not open"
    wait_until(lambda: client.log().count(tries) >= 5, "it has tried some times", within=30)
    lines = [line for line in client.log().splitlines() if tries in line]
    delays = [int(line.split("retryIn=")[1].split("ms")[0]) for line in lines]
    assert delays[4] >= 250, delays


def test_the_servers_token_is_removed_while_the_client_runs(launch, guarded, tokens, token_file):
    """The client keeps what it has, and loses nothing until it has a new token."""
    old, writer = tokens.add("old"), tokens.add("writer")
    guarded.reread("tokens reread")
    token_file.write_text(old)
    client = launch.client(guarded.address, MESSENGER_TOKEN_FILE=token_file).wait_ready()
    client.http.send("Ann", "1")
    tokens.remove(old)
    guarded.reread("tokens reread")
    wait_until(lambda: client.http.request("GET", "/readyz").status == 503, "the stream has ended")
    response = client.http.request("POST", "/sendMessage", HELLO)
    assert (response.status, error(response)) == (502, REFUSED)
    with connected(guarded.address) as channel:
        stub(channel).SendMessage(pb.SendMessageRequest(author="Bob", text="2"), timeout=20, metadata=bearer(writer))
    token_file.write_text(tokens.add("new"))
    guarded.reread("tokens reread")
    client.reread("token reread")
    client.wait_ready()
    client.http.send("Ann", "3")
    assert [message["text"] for message in client.http.flush()] == ["1", "2", "3"]
    assert client.http.request("GET", "/readyz").json()["gaps"] == 0


@pytest.mark.parametrize("right", ["read", "send"])
def test_a_client_whose_token_lacks_a_right(launch, guarded, tokens, token_file, right):
    token_file.write_text(tokens.add("client", right))
    guarded.reread("tokens reread")
    client = launch.client(guarded.address, MESSENGER_TOKEN_FILE=token_file, MESSENGER_OPEN_TIMEOUT="1s").wait_live()
    if right == "read":
        client.wait_ready()
        assert client.http.flush() == []
    else:
        wait_until(lambda: "the server refuses this client's token" in client.log(), "a line that says so")
    response = client.http.request("POST", "/sendMessage", HELLO)
    assert (response.status, error(response)) == (502, REFUSED)


def test_a_bad_token_file_changes_nothing(launch, guarded, tokens, token_file):
    token_file.write_text(tokens.add("client"))
    guarded.reread("tokens reread")
    client = launch.client(guarded.address, MESSENGER_TOKEN_FILE=token_file).wait_ready()
    token_file.write_text("two words")
    assert "two words" not in client.reread("token not reread")
    client.http.send("Ann", "hi")


@pytest.mark.parametrize("content", ["", "two words", "two\nlines", "caf\u00e9", "x" * 600, None])
def test_a_bad_token_file_stops_the_start(launch, token_file, content):
    """The line quotes neither the file nor its path: a token may have been given as the path."""
    if content is not None:
        token_file.write_text(content)
    settings = {"MESSENGER_TOKEN_FILE": token_file, "MESSENGER_HTTP_PORT": free_port()}
    line = one_line(launch.program("messenger-client", **settings), 78)
    assert "MESSENGER_TOKEN_FILE" in line and str(token_file) not in line
    assert not content or content not in line


def test_a_bad_file_of_http_tokens_stops_the_start(launch, tokens):
    tokens.path.write_text("ann\n")
    settings = {"MESSENGER_HTTP_TOKENS_FILE": tokens.path, "MESSENGER_HTTP_PORT": free_port()}
    line = one_line(launch.program("messenger-client", **settings), 78)
    assert "MESSENGER_HTTP_TOKENS_FILE" in line and "line 1: " in line


def test_a_token_over_its_rate_at_the_server(launch, guarded, tokens, token_file):
    token_file.write_text(tokens.add("client", "read,send", "1/s"))
    guarded.reread("tokens reread")
    client = launch.client(guarded.address, MESSENGER_TOKEN_FILE=token_file).wait_ready()
    wait_until(lambda: client.http.request("POST", "/sendMessage", HELLO).status == 429, "it is over its rate")


def stalled(port: int, request: str) -> socket.socket:
    """Has begun to receive an answer, and reads no more of it."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(request.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    return connection


def test_a_long_answer_ends_with_its_token(launch, tokens):
    """More than fits into the buffers on the way waits for a reader that does not read."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel:
        message = pb.SendMessageRequest(author="Ann", text="x" * 60_000)
        calls = [stub(channel).SendMessage.future(message, timeout=60) for _ in range(300)]
        for call in calls:
            call.result()
    token = tokens.add("ann", "read")
    client = launch.client(server.address, MESSENGER_HTTP_TOKENS_FILE=tokens.path).wait_ready()
    headers = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
    connection = stalled(client.port, f"GET /messages HTTP/1.1\r\n{headers}\r\n")
    tokens.remove(token)
    assert "ended=1" in client.reread("tokens reread")
    answer = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    assert not answer.endswith(b"0\r\n\r\n"), "the answer is not complete"
    connection.close()


@pytest.mark.parametrize("rights", [None, "unknown", "send"])
def test_events_need_a_token_that_may_read(client, tokens, rights):
    token = rights and (tokens.add("ann", rights) if rights != "unknown" else rights)
    client.reread("tokens reread")
    response = client.http.request("GET", "/events", headers=http_bearer(token) if token else {})
    assert response.status == (403 if rights == "send" else 401)


def test_event_streams_end_with_their_token(client, tokens):
    """Those of other tokens go on."""
    gone, less, stays = tokens.add("gone", "read"), tokens.add("less"), tokens.add("stays")
    client.reread("tokens reread")
    streams = {token: EventReader(client.port, token=token).open() for token in (gone, less, stays)}
    tokens.remove(gone)
    tokens.put(less, "less", "send")
    assert "ended=2" in client.reread("tokens reread")
    for token in gone, less:
        with pytest.raises(ConnectionError):
            streams[token].event()
    client.http.request("POST", "/sendMessage", HELLO, http_bearer(stays))
    assert streams[stays].event().json()["text"] == "hi"
    for stream in streams.values():
        stream.close()
