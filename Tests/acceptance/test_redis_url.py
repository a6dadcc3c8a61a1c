"""Redis URLs and passwords: errors say what is wrong, and no output contains a secret."""

import os
from urllib.parse import quote

import grpc
import pytest

from support.api import connected, pb, reading, stub
from support.processes import free_port, one_line
from support.redis import Redis
from support.redis_room import accepted, refusal, send
from support.waiting import wait_until

#: With everything in it that a URL has a meaning for.
SECRET = "s3:cr/et@x%41 #?é&"
ENCODED = quote(SECRET, safe="")

REFUSED = [
    ("redis://ivan:hunter2@localhost/0", "bare number"),
    ("redis://ivan:hunter2@localhost/0/room", "bare number"),
    ("redis://ivan:hun/ter2@localhost/room", "contains '@'"),
    ("redis://ivan:hunter2@localhost/room?db=hunter2", "'?'"),
    ("redis://ivan:hunter2@localhost/room#hunter2", "'#'"),
    ("redis://ivan:hunter2@localhost/", "key is missing"),
    ("redis://ivan:hunter2@localhost", "key is missing"),
    ("redis://ivan:hun ter2@localhost/room", "space"),
    ("redis://ivan:hunter2%@localhost/room", "%25"),
    ("redis://ivan:hunter2%fe@localhost/room", "UTF-8"),
    ("redis://hunter2@localhost/room", "USER:PASSWORD"),
    ("rediss://ivan:hunter2@localhost/0", "bare number"),
    ("redis://ivan:hunter2@localhost:0/room", "1 to 65535"),
    ("redis://ivan:hunter2@localhost:70000/room", "1 to 65535"),
    ("redis://ivan:hunter2@::1/room", "brackets"),
    ("redis:/ivan:hunter2@localhost/room", "redis://["),
    ("reddis://ivan:hunter2@localhost/room", "memory:"),
    ("ivan:hunter2@localhost", "memory:"),
]


def says_no_secret(line: str, *secrets: str) -> None:
    for secret in secrets or ("hunter2", "hun", "ter2"):
        assert secret not in line, line


@pytest.mark.parametrize("value, reason", REFUSED, ids=[reason for _, reason in REFUSED])
def test_a_bad_url_is_refused(launch, value, reason):
    """The sentence says what to do, without the value."""
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=value), 78)
    assert "MESSENGER_HISTORY" in line and reason in line
    says_no_secret(line)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--history", "redis://ivan:hunter2@localhost/0"],
        ["--history=reddis://ivan:hunter2@localhost/room"],
        ["--history", "redis://ivan:hun", "ter2@localhost/room"],
        ["--history", "redis://ivan:", "-ter2@localroom"],
        ["--history", "redis://ivan:", "--ter2@localhost/room"],
        ["--histroy", "redis://ivan:hunter2@localhost/room"],
        ["--histroy=redis://ivan:hunter2@localhost/room"],
        ["redis://ivan:hunter2@localhost/room"],
        ["--server-port", "redis://ivan:hunter2@localhost/room"],
        ["--server-port=redis://ivan:hun ter2@localhost/room"],
        ["--check-health=redis://ivan:hunter2@localhost/room"],
        ["--history-file", "redis://ivan:hunter2@localhost/room"],
        ["--server-port", "redis:/ivan:hunter2@localhost/room"],
        ["--log-level", "ivan:hunter2@localhost"],
    ],
)
def test_a_bad_command_line_is_not_quoted(launch, arguments):
    """Also if the parser of flags refuses it, and if it is one word of an unquoted value."""
    says_no_secret(one_line(launch.program("messenger-server", *arguments), 64, 78))


def test_a_servers_address_with_a_password_is_not_quoted(launch):
    """The client accepts no password there, and prints it neither from a flag nor from a variable."""
    says_no_secret(one_line(launch.program("messenger-client", "--server-addr", "ivan:hunter2@localhost:1"), 64))
    says_no_secret(one_line(launch.program("messenger-client", MESSENGER_SERVER_ADDR="ivan:hunter2@localhost:1"), 78))


@pytest.fixture
def guarded(own_programs):
    """A Redis with a user whose name and password need percent-encoding."""
    redis = Redis(free_port())
    assert redis.ask("ACL", "SETUSER", "iv:an", "on", f">{SECRET}", "~*", "&*", "+@all") == "+OK"
    yield redis
    redis.close()


def url(redis: Redis) -> str:
    return f"redis://iv%3Aan:{ENCODED}@127.0.0.1:{redis.port}/room"


def test_percent_encoding_is_decoded(launch, guarded):
    """In user and password. The start line names only the place."""
    server = launch.server(MESSENGER_HISTORY=url(guarded), MESSENGER_LOG_LEVEL="trace").wait_ready()
    send(server.address, "hello")
    server.stop()
    says_no_secret(server.log(), SECRET, ENCODED, "s3:cr", "s3%3Acr")
    assert f"***@127.0.0.1:{guarded.port}/room" in server.log()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_holds_the_url(launch, guarded, tmp_path, end):
    """With or without a line end."""
    file = tmp_path / "history"
    file.write_bytes(f"{url(guarded)}{end}".encode())
    server = launch.server(MESSENGER_HISTORY_FILE=file, MESSENGER_LOG_LEVEL="trace").wait_ready()
    send(server.address, "hello")
    wait_until(lambda: f"historyFile={file}" in server.log(), "the server has said that it listens")
    says_no_secret(server.log(), SECRET, ENCODED)


def test_a_file_holds_a_path(launch, tmp_path):
    """By the flag, for SQLite."""
    file = tmp_path / "history"
    file.write_text(f"sqlite:{tmp_path / 'room.db'}\n")
    server = launch.server("--history-file", str(file), MESSENGER_HISTORY="").wait_ready()
    send(server.address, "hello")
    assert (tmp_path / "room.db").exists()


def test_a_file_with_a_byte_order_mark(launch, tmp_path):
    """Some editors write it."""
    file = tmp_path / "history"
    file.write_bytes(f"\ufeffsqlite:{tmp_path / 'room.db'}\r\n".encode())
    launch.server(MESSENGER_HISTORY_FILE=file).wait_ready()
    assert (tmp_path / "room.db").exists()


def test_a_pipe_holds_the_url(launch, tmp_path):
    """As from `<(command)`, which may write late. After 5 s without an end the start fails."""
    file = tmp_path / "history"
    os.mkfifo(file)
    server = launch.server(MESSENGER_HISTORY_FILE=file)
    with open(file, "w") as writer:
        writer.write(f"sqlite:{tmp_path / 'room.db'}\n")
    server.wait_ready()
    assert (tmp_path / "room.db").exists()
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY_FILE=file), 78)
    assert "MESSENGER_HISTORY_FILE" in line and "nothing comes out" in line


FILES = [
    (b"", "empty"),
    (b"\n", "empty"),
    (b"redis://ivan:hunter2@localhost/0\n", "bare number"),
    (b"redis://ivan:hunter2@localhost/room\nhunter2\n", "more than one line"),
    (b"redis://ivan:hunter2\xfe@localhost/room", "UTF-8"),
    (b"hunter2" * 10_000, "larger"),
    (None, "No such file"),
    ("a folder", "Is a directory"),
]


@pytest.mark.parametrize("content, reason", FILES, ids=[reason for _, reason in FILES])
def test_a_bad_file_is_refused(launch, tmp_path, content, reason):
    """The sentence names the variable, and nothing of the content."""
    file = tmp_path / "history"
    if content == "a folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY_FILE=file), 78)
    assert "MESSENGER_HISTORY_FILE" in line and reason in line
    says_no_secret(line)


def test_a_file_and_a_value_exclude_each_other(launch, tmp_path):
    file = tmp_path / "history"
    file.write_text("memory:")
    settings = {"MESSENGER_HISTORY_FILE": file}
    value = "redis://ivan:hunter2@localhost/room"
    for program in (
        launch.program("messenger-server", MESSENGER_HISTORY=value, **settings),
        launch.program("messenger-server", "--history", value, **settings),
        launch.program("messenger-server", MESSENGER_HISTORY="memory:", **settings),
    ):
        line = one_line(program, 78)
        assert "Both MESSENGER_HISTORY and MESSENGER_HISTORY_FILE" in line
        says_no_secret(line)


def test_a_wrong_password_is_not_printed(launch, guarded):
    """The start says that Redis refuses it."""
    setting = f"redis://iv%3Aan:hunter2@127.0.0.1:{guarded.port}/room"
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=setting, MESSENGER_LOG_LEVEL="trace"), 69)
    assert "WRONGPASS" in line
    says_no_secret(line)


def test_a_redis_that_quotes_commands_is_not_quoted(launch):
    """A server without AUTH or XADD answers with all words of the command.

    Password, author and text stay out of the log.
    """
    redis = Redis(free_port(), "--rename-command", "AUTH", "", "--rename-command", "XADD", "")
    try:
        setting = {"MESSENGER_LOG_LEVEL": "trace"}
        place = f"127.0.0.1:{redis.port}/room"
        refused = launch.program("messenger-server", MESSENGER_HISTORY=f"redis://ivan:hunter2@{place}", **setting)
        says_no_secret(one_line(refused, 69))
        server = launch.server(MESSENGER_HISTORY=f"redis://{place}", **setting).wait_ready()
        with connected(server.address) as channel:
            request = pb.SendMessageRequest(author="the-author", text="the-text")
            call = stub(channel).SendMessage.future(request, timeout=20)
            error = call.exception(timeout=20)
        wait_until(lambda: "unknown command 'XADD'" in server.log(), "the log tells of it")
        says_no_secret(server.log() + error.details(), "the-author", "the-text")
    finally:
        redis.close()


def test_a_password_that_is_changed_under_a_server(launch, guarded):
    """Sends fail from the next connection on, with one line. With the old password again, all continues."""
    server = launch.server(MESSENGER_HISTORY=url(guarded), MESSENGER_LOG_LEVEL="trace").wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, "before")
        guarded.ask("ACL", "SETUSER", "iv:an", "resetpass", ">another")
        guarded.ask("CLIENT", "KILL", "USER", "iv:an")
        assert "cannot be reached" in refusal(server.address, grpc.StatusCode.UNAVAILABLE).details()
        wait_until(lambda: "WRONGPASS" in server.log(), "the log tells of it")
        guarded.ask("ACL", "SETUSER", "iv:an", f">{SECRET}")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert [message.text for message in reader.take(2)] == ["before", "there again"]
    says_no_secret(server.log(), SECRET, ENCODED)
