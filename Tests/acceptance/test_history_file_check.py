"""`--check-history` says whether a file is a sound history, and changes nothing."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.api import connected, pb, stub
from support.history_file import names, send, serve
from support.launcher import Launcher
from support.processes import one_line

USAGE, BAD_DATA, UNAVAILABLE = 64, 65, 69
PAGE = 4096


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def check(launch: Launcher, path: object, code: int = 0, **settings: object) -> str:
    return one_line(launch.program("messenger-server", "--check-history", str(path), **settings), code)


@pytest.fixture(scope="module")
def folder(own_programs, tmp_path_factory) -> Iterator[Path]:
    """A history of a stopped server, and one of a server that was killed."""
    folder, launcher = tmp_path_factory.mktemp("histories"), Launcher()
    for end in ["stop", "kill"]:
        server = serve(launcher, folder / end)
        with connected(server.address) as channel:
            for number in range(100):
                request = pb.SendMessageRequest(author="Ivan", text="x" * 1000, idempotencyKey=f"key {number}")
                stub(channel).SendMessage(request, timeout=60)
        getattr(server, end)()
    launcher.close()
    yield folder


@pytest.fixture
def path(folder, tmp_path) -> Path:
    """A copy of the stopped server's."""
    return Path(shutil.copy(folder / "stop", tmp_path / "100% sound?#.db"))


def test_a_sound_history(launch, path):
    before = contents(path.parent)
    time = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    line = check(launch, path)
    said = re.fullmatch(
        rf"The history in (.*) is sound: messages 100, oldest ({time}), newest ({time}), keys 100, bytes (\d+)", line
    )
    assert said, line
    assert said[1] == str(path) and said[2] < said[3] and int(said[4]) == path.stat().st_size
    assert contents(path.parent) == before


@pytest.mark.parametrize("has_index", [True, False])
def test_the_history_of_a_server_that_was_killed(launch, folder, tmp_path, has_index):
    """Its newest messages are in the log. Nothing is moved into the file, and no index of the log is left."""
    for file in folder.glob("kill*"):
        if has_index or file.name != "kill-shm":
            shutil.copy(file, tmp_path)
    before = contents(tmp_path)
    assert "messages 100," in check(launch, tmp_path / "kill")
    assert contents(tmp_path) == before


def test_the_history_of_a_running_server(launch, tmp_path):
    server = serve(launch, tmp_path / "history.db")
    send(server, "one", "two")
    before = names(tmp_path)
    assert "messages 2," in check(launch, tmp_path / "history.db")
    assert names(tmp_path) == before
    send(server, "three")
    server.stop()
    assert names(tmp_path) == {"history.db"}


def test_a_history_without_messages(launch, tmp_path):
    serve(launch, tmp_path / "history.db").stop()
    assert "is sound: messages 0, keys 0, bytes" in check(launch, tmp_path / "history.db")


def change(sql: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            file.executescript(sql)

    return run


def spoil_page(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(PAGE * 3)
        file.write(b"\xff" * PAGE)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // PAGE // 2 * PAGE)


def swap_messages(path: Path) -> None:
    """Exchanges the places of two messages in a page, so that their times are out of order."""
    data = bytearray(path.read_bytes())
    pages = range(PAGE, len(data), PAGE)
    page = next(start for start in pages if data[start] == 0x0D and b"Ivanxxx" in data[start : start + PAGE])
    places = page + 8
    data[places : places + 4] = data[places + 2 : places + 4] + data[places : places + 2]
    path.write_bytes(data)


NEWEST = "(SELECT max(time) FROM message)"
DAMAGES = {
    "page": (spoil_page, "is damaged"),
    "end": (cut, "is damaged"),
    "order": (swap_messages, "out of order"),
    "empty": (lambda path: os.truncate(path, 0), "the file is empty"),
    "text": (lambda path: path.write_text("no database\n" * 1000), "is not an SQLite database"),
    "other": (change("PRAGMA application_id = 1"), "is a database of another program"),
    "later": (change("PRAGMA user_version = 9"), "from a later version"),
    "tables": (change("DROP TABLE room"), "no such table: room"),
    "room": (change("DELETE FROM room"), "does not say since when"),
    "held": (change(f"UPDATE room SET held_after = {NEWEST}"), "holds only later ones"),
    "future": (change(f"UPDATE message SET time = {2**63 - 1} WHERE time = {NEWEST}"), "no later times"),
    "key": (change(f"UPDATE idempotency_key SET key = 'é' WHERE time = {NEWEST}"), "is invalid"),
    "message": (change(f"DELETE FROM message WHERE time = {NEWEST}"), "but not the message"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_history(launch, path, damage, reason):
    damage(path)
    before = contents(path.parent)
    assert reason in check(launch, path, BAD_DATA)
    assert contents(path.parent) == before


def test_a_damaged_log(launch, folder, tmp_path):
    """Its later commits cannot be read. With `normal` nobody was promised them."""
    for file in folder.glob("kill*"):
        shutil.copy(file, tmp_path)
    log = tmp_path / "kill-wal"
    with open(log, "r+b") as file:
        file.seek(log.stat().st_size * 4 // 10)
        file.write(b"\xff" * 9)
    assert "commits in its write-ahead log cannot be read" in check(launch, tmp_path / "kill", BAD_DATA)
    assert "is sound" in check(launch, tmp_path / "kill", MESSENGER_HISTORY_SYNC="normal")


def test_what_is_no_file(launch, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "it is a folder" in check(launch, tmp_path, UNAVAILABLE)
    assert "not a regular file" in check(launch, tmp_path / "pipe", UNAVAILABLE)
    assert "No such file" in check(launch, tmp_path / "missing.db", UNAVAILABLE)
    assert "needs the path of a file" in check(launch, "memory:", USAGE)
    assert names(tmp_path) == {"pipe"}
