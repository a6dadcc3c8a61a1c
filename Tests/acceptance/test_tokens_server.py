"""Tokens that the server's calls need."""

import os
import re
import subprocess
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.api import SERVICE, connected, failure, pb, send_raw, stub
from support.processes import PROGRAMS, ROOT, one_line
from support.tls import SERVER
from support.tokens import bearer
from support.tools import run_grpcurl
from support.waiting import wait_until

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
HELLO = pb.SendMessageRequest(author="Ann", text="hi")


@pytest.fixture
def server(launch, tokens):
    return launch.server(MESSENGER_TOKENS_FILE=tokens.path, MESSENGER_LOG_LEVEL="trace").wait_ready()


@pytest.fixture
def channel(server):
    with connected(server.address) as channel:
        yield channel


def send(channel, metadata=None) -> None:
    stub(channel).SendMessage(HELLO, timeout=20, metadata=metadata)


def read(channel, metadata=None) -> list:
    request = pb.ReadMessagesRequest(last=10, untilNow=True)
    return list(stub(channel).ReadMessages(request, timeout=20, metadata=metadata))


class Stream:
    """An open stream of messages."""

    def __init__(self, channel, token: str):
        self.call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), timeout=60, metadata=bearer(token))
        assert "messenger-position" in dict(self.call.initial_metadata())

    def ends_with(self, code: grpc.StatusCode) -> grpc.RpcError:
        return failure(code, lambda: list(self.call))


def calls(channel):
    """Each method that is not open, as a function of the call's metadata."""
    questions = [reflection_pb2.ServerReflectionRequest(list_services="")]
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    return {
        "SendMessage": lambda metadata: send(channel, metadata),
        "ReadMessages": lambda metadata: read(channel, metadata),
        "reflection": lambda metadata: list(
            reflection.ServerReflectionInfo(iter(questions), timeout=20, metadata=metadata)
        ),
        "unknown": lambda metadata: send_raw(channel, b"", f"{SERVICE}Other", metadata=metadata),
    }


@pytest.mark.parametrize("name", ["SendMessage", "ReadMessages", "reflection", "unknown"])
def test_a_call_without_a_valid_token_is_refused(channel, tokens, server, name):
    token = tokens.add("ann")
    server.reread("tokens reread")
    call = calls(channel)[name]
    for metadata in [
        None,
        bearer("unknown"),
        bearer(token + "x"),
        bearer(token[:-1]),
        bearer("x" * 4000),
        [("authorization", token)],
        [("authorization", "Bearer")],
        [("authorization", f"Basic {token}")],
        bearer(token) * 2,
    ]:
        error = failure(UNAUTHENTICATED, call, metadata)
        assert "token" in error.details() and token[:-1] not in error.details()
    if name == "unknown":
        failure(grpc.StatusCode.UNIMPLEMENTED, call, bearer(token))
    else:
        call(bearer(token))


def test_a_token_without_the_right_is_refused(channel, tokens, server):
    reader, sender = bearer(tokens.add("reader", "read")), bearer(tokens.add("sender", "send"))
    server.reread("tokens reread")
    assert "send" in failure(PERMISSION_DENIED, send, channel, reader).details()
    assert "read" in failure(PERMISSION_DENIED, read, channel, sender).details()
    send(channel, sender)
    assert len(read(channel, reader)) == 1
    for metadata in reader, sender:
        calls(channel)["reflection"](metadata)


def test_a_token_has_a_rate(channel, tokens, server):
    """The rate is that of one token. Another one, and reading, go on."""
    slow, other = bearer(tokens.add("slow", "read,send", "5/s")), bearer(tokens.add("other"))
    server.reread("tokens reread")
    codes = set()
    for _ in range(50):
        try:
            send(channel, slow)
        except grpc.RpcError as error:
            codes.add((error.code(), error.details()))
    assert codes == {(RESOURCE_EXHAUSTED, "the token may send 5 messages a second; try again later")}
    send(channel, other)
    assert 6 <= len(read(channel, slow)) <= 10


def test_a_token_over_its_rate_may_send_again(channel, tokens, server):
    metadata = bearer(tokens.add("slow", "send", "2/s"))
    server.reread("tokens reread")

    def is_refused() -> bool:
        try:
            send(channel, metadata)
        except grpc.RpcError as error:
            return error.code() == RESOURCE_EXHAUSTED
        return False

    wait_until(is_refused, "the token is over its rate")
    wait_until(lambda: not is_refused(), "the token may send again")


def test_health_is_open(channel, server, tokens, launch):
    """Also for the check of containers, which has no token."""
    health = health_pb2_grpc.HealthStub(channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
    assert next(health.Watch(health_pb2.HealthCheckRequest(), timeout=20)).status
    settings = {"MESSENGER_SERVER_PORT": server.port, "MESSENGER_TOKENS_FILE": tokens.path}
    check = launch.program("messenger-server", "--check-health", **settings)
    assert check.exit_code(within=20) == 0, check.log()
    server.stop()
    check = launch.program("messenger-server", "--check-health", **settings)
    assert check.exit_code(within=20) == 1


def test_grpcurl_with_a_token(server, tokens):
    token = tokens.add("ann")
    server.reread("tokens reread")
    header = ["-plaintext", "-H", f"authorization: Bearer {token}"]
    assert "mes_grpc.MessengerServer" in run_grpcurl(*header, server.address, "list")
    answer = run_grpcurl(
        *header, "-d", '{"author":"Ann","text":"hi"}', server.address, "mes_grpc.MessengerServer/SendMessage"
    )
    assert "sendTime" in answer


def test_sighup_rereads_the_tokens(channel, server, tokens):
    """A new token works, a removed one does not, and a changed one has its new rights."""
    first, second = tokens.add("first"), tokens.add("second")
    assert "added=2" in server.reread("tokens reread")
    send(channel, bearer(first))
    tokens.remove(first)
    tokens.put(second, "second", "read")
    third = tokens.add("third")
    line = server.reread("tokens reread")
    assert "added=1" in line and "removed=1" in line and "tokens=2" in line
    failure(UNAUTHENTICATED, send, channel, bearer(first))
    failure(PERMISSION_DENIED, send, channel, bearer(second))
    send(channel, bearer(third))


@pytest.mark.parametrize("damage", ["a bad line", "no file"])
def test_a_bad_file_of_tokens_changes_nothing(channel, server, tokens, damage):
    token = tokens.add("ann")
    server.reread("tokens reread")
    if damage == "no file":
        tokens.path.unlink()
    else:
        tokens.path.write_text("# nobody\nann 0123 read\n")
    line = server.reread("tokens not reread")
    assert str(tokens.path) in line and " error " in line
    assert ("line 2: " in line) == (damage == "a bad line")
    send(channel, bearer(token))


@pytest.mark.parametrize("history", ["memory", "sqlite"])
def test_open_streams_of_a_removed_token_end(launch, tokens, tmp_path, history):
    """Those of other tokens go on. A stream whose token has lost the right ends too."""
    location = "memory:" if history == "memory" else f"sqlite:{tmp_path / 'history.db'}"
    gone, less, stays = (tokens.add(name) for name in ("gone", "less", "stays"))
    server = launch.server(MESSENGER_TOKENS_FILE=tokens.path, MESSENGER_HISTORY=location).wait_ready()
    with connected(server.address) as channel:
        streams = {token: Stream(channel, token) for token in (gone, less, stays)}
        send(channel, bearer(gone))
        tokens.remove(gone)
        tokens.put(less, "less", "send")
        assert "ended=2" in server.reread("tokens reread")
        assert streams[gone].ends_with(UNAUTHENTICATED).details() == "the token is not valid"
        assert "read" in streams[less].ends_with(PERMISSION_DENIED).details()
        send(channel, bearer(stays))
        assert len([next(streams[stays].call) for _ in range(2)]) == 2
        streams[stays].call.cancel()


def test_a_stream_that_is_not_read_ends_with_its_token(channel, server, tokens):
    """More messages wait for it than flow control lets through."""
    token, other = tokens.add("ann"), tokens.add("bob")
    server.reread("tokens reread")
    stream = Stream(channel, token)
    with connected(server.address) as second:
        big = pb.SendMessageRequest(author="Bob", text="x" * 60_000)
        for _ in range(200):
            stub(second).SendMessage(big, timeout=20, metadata=bearer(other))
    tokens.remove(token)
    assert "ended=1" in server.reread("tokens reread")
    stream.ends_with(UNAUTHENTICATED)


def test_an_open_reflection_stream_ends_with_its_token(channel, server, tokens):
    token = tokens.add("ann")
    server.reread("tokens reread")
    answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
        wait_for_ever(), timeout=60, metadata=bearer(token)
    )
    next(answers)
    tokens.remove(token)
    server.reread("tokens reread")
    failure(UNAUTHENTICATED, lambda: next(answers))


def wait_for_ever():
    """One question, and no end."""
    yield reflection_pb2.ServerReflectionRequest(list_services="")
    threading.Event().wait(60)


BAD_FILES = [("ann 0123 read\n", "line 1: "), ("# x\n\nann\n", "line 3: "), (None, "No such file")]


@pytest.mark.parametrize(("content", "reason"), BAD_FILES)
def test_a_bad_file_of_tokens_stops_the_start(launch, tmp_path, content, reason):
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
    line = one_line(launch.server(MESSENGER_TOKENS_FILE=path), 78)
    assert "MESSENGER_TOKENS_FILE" in line and str(path) in line and reason in line
    assert "0123" not in line


OPEN, CLEAR = "no token is needed", "tokens cross the network without encryption"


@pytest.mark.parametrize(
    ("settings", "has_tokens", "said"),
    [
        ({}, False, [OPEN]),
        ({}, True, [CLEAR]),
        ({"MESSENGER_SERVER_HOST": "localhost"}, True, []),
        ({"MESSENGER_SERVER_HOST": "127.0.0.1"}, True, []),
        (SERVER, True, []),
    ],
    ids=["open", "clear", "localhost", "loopback", "TLS"],
)
def test_the_log_says_who_may_call(launch, tokens, settings, has_tokens, said):
    """One line at the start, or none if tokens are safe."""
    if has_tokens:
        settings = settings | {"MESSENGER_TOKENS_FILE": tokens.path}
    server = launch.server(**settings).wait_ready()
    server.stop()
    assert [line for line in (OPEN, CLEAR) for _ in range(server.log().count(line))] == said


def test_no_token_is_in_the_log(server, channel, tokens):
    """At trace, for calls that succeed and calls that fail. The name is there."""
    token, other, wrong = tokens.add("the-name"), tokens.add("other", "read"), "w" * 40
    server.reread("tokens reread")
    send(channel, bearer(token))
    failure(PERMISSION_DENIED, send, channel, bearer(other))
    failure(UNAUTHENTICATED, send, channel, bearer(wrong))
    stream = Stream(channel, token)
    tokens.path.write_text(f"{token} {token} {token}\n")
    server.reread("tokens not reread")
    tokens.put(other, "other", "read")
    tokens.remove(token)
    server.reread("tokens reread")
    stream.ends_with(UNAUTHENTICATED)
    server.stop()
    log = server.log()
    assert "token=the-name" in log and "noValidToken=1" in log
    digest = tokens.path.read_text().split()[5]
    for secret in (token, other, wrong, digest):
        assert secret not in log


def test_a_program_that_rereads_does_not_stop_at_sighup(server):
    for _ in range(3):
        server.reread("tokens reread")
    assert server.running
    server.stop()


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAMS / "messenger-server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("flags", "rest"),
    [([], "read,send"), (["--token-rights", "read"], "read"), (["--token-rate", "7/s"], "read,send 7/s")],
)
def test_make_token(launch, tokens, flags, rest):
    """Its two lines are all that is needed."""
    made = run_server("--make-token", "ann", *flags)
    assert made.returncode == 0 and made.stderr == ""
    token, line = made.stdout.splitlines()
    assert re.fullmatch(rf"ann [0-9a-f]{{64}} {rest}", line)
    tokens.path.write_text(line + "\n")
    server = launch.server(MESSENGER_TOKENS_FILE=tokens.path).wait_ready()
    with connected(server.address) as channel:
        read(channel, bearer(token))
        failure(UNAUTHENTICATED, read, channel, bearer(token.swapcase()))


@pytest.mark.parametrize(
    "flags",
    [
        ["--make-token", "a b"],
        ["--make-token", ""],
        ["--make-token", "ann", "--token-rights", "write"],
        ["--make-token", "ann", "--token-rate", "0/s"],
        ["--token-rights", "read"],
    ],
)
@pytest.mark.usefixtures("launch")  # Skipped where the programs run elsewhere.
def test_make_token_with_bad_flags(flags):
    done = run_server(*flags)
    assert done.returncode == 64 and done.stdout == "" and len(done.stderr.splitlines()) == 1, done


def blocks(heading: str) -> list[str]:
    """The commands below a heading of docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = re.search(rf"^## {heading}\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    assert section, heading
    return re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)


@pytest.mark.repository
def test_the_page_about_tokens_works(launch, tmp_path):
    """To the letter: a token is made, replaced and revoked."""
    tokens = tmp_path / "tokens"
    tokens.touch()
    server = launch.server(MESSENGER_TOKENS_FILE=tokens).wait_ready()
    environment = os.environ | {
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "TOKENS": str(tokens),
        "SERVER": str(server.pid),
    }

    def follow(commands: str) -> None:
        before = server.log().count("tokens reread")
        subprocess.run(["bash", "-eu", "-c", commands], env=environment, cwd=tmp_path, check=True, timeout=60)
        wait_until(lambda: server.log().count("tokens reread") > before, "the server has read its file")

    def token() -> str:
        return (tmp_path / "ann.token").read_text().strip()

    make, drop_first, revoke = blocks("Who may do what")
    with connected(server.address) as channel:
        follow(make)
        first = token()
        assert (tmp_path / "ann.token").stat().st_mode & 0o077 == 0
        send(channel, bearer(first))
        follow(make)
        second = token()
        for each in first, second:
            send(channel, bearer(each))
        follow(drop_first)
        failure(UNAUTHENTICATED, send, channel, bearer(first))
        send(channel, bearer(second))
        follow(revoke)
        failure(UNAUTHENTICATED, send, channel, bearer(second))
