"""A history file is removed, moved, replaced or overwritten while its server runs."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from support.history_file import GONE, read, refused, send, serve


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


def remove(suffix: str):
    return lambda path: os.unlink(f"{path}{suffix}")


def replace(suffix: str):
    def act(path: Path) -> None:
        copy = f"{path}.copy"
        shutil.copy(f"{path}{suffix}", copy)
        os.rename(copy, f"{path}{suffix}")

    return act


TAKEN_AWAY = {
    "file removed": remove(""),
    "log removed": remove("-wal"),
    "shared memory removed": remove("-shm"),
    "file replaced": replace(""),
    "log replaced": replace("-wal"),
    "file moved": lambda path: path.rename(path.parent / "moved.db"),
    "folder moved": lambda path: path.parent.rename(path.parent.with_name("moved")),
    "folder removed": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("take_away", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_a_file_that_is_removed_or_replaced(launch, tmp_path, take_away):
    """From then on the server refuses sends, logs one line, and stops cleanly."""
    path = tmp_path / "room" / "history.db"
    path.parent.mkdir()
    server = serve(launch, path)
    send(server, "kept")
    take_away(path)
    for _ in range(5):
        assert GONE in refused(server).details()
    server.stop(within=9)
    assert server.log().count(GONE) == 1, server.log()


def test_acknowledged_messages_after_the_log_was_removed(launch, path):
    """They are in the file after the stop."""
    server = serve(launch, path)
    times = send(server, *map(str, range(20)))
    os.unlink(f"{path}-wal")
    refused(server)
    server.stop(within=9)
    server = serve(launch, path, port=server.port)
    assert read(server, times[0] - 1, 20) == [str(index) for index in range(20)]


def test_a_stop_leaves_the_files_of_the_next_server_alone(launch, path):
    """The first server's files were moved away, and a second server has new ones at the same path."""
    first = serve(launch, path)
    send(first, "old")
    away = path.parent / "away"
    away.mkdir()
    for file in path.parent.glob("history.db*"):
        file.rename(away / file.name)
    second = serve(launch, path)
    times = send(second, "new")
    first.stop(within=9)
    times += send(second, "newer")
    second.kill()
    assert read(serve(launch, path, port=second.port), times[0] - 1, 2) == ["new", "newer"]


def cut(suffix: str):
    return lambda path: os.truncate(f"{path}{suffix}", 0)


def copy_over(path: Path) -> None:
    """`cp BACKUP history.db` under a running server: the inode stays the same."""
    shutil.copyfile(path.parent / "backup", path)


@pytest.mark.parametrize("overwrite", [cut(""), cut("-wal"), copy_over], ids=["emptied", "log emptied", "copied over"])
def test_a_file_that_is_overwritten(launch, path, overwrite):
    """Acknowledged messages would be lost, so the server refuses sends, with one line."""
    server = serve(launch, path)
    send(server, "old")
    shutil.copyfile(path, path.parent / "backup")
    # More than the write-ahead log keeps.
    send(server, *["x" * 60_000] * 150)
    overwrite(path)
    for _ in range(3):
        assert GONE in refused(server).details()
    server.stop(within=9)
    assert server.log().count(GONE) == 1, server.log()


def test_vacuum_by_another_process(launch, path):
    """`VACUUM` makes the file smaller. The server continues."""
    server = serve(launch, path)
    times = send(server, *["x" * 60_000] * 150)
    size = path.stat().st_size
    with sqlite3.connect(path, timeout=20, isolation_level=None) as other:
        other.execute("DELETE FROM message WHERE time < ?", times[-2:-1])
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size / 2
    times += send(server, "one", "two")
    server.kill()
    assert read(serve(launch, path, port=server.port), times[-3], 2) == ["one", "two"]
