"""Checkpoints, trimming and checks of a history file block nobody, and a slow start says what it does."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from support.api import connected, pb, stub
from support.disk import SmallDisk
from support.history_file import read, send, serve, start
from support.processes import one_line
from support.waiting import wait_until

UNAVAILABLE = 69
MIB = 1 << 20


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


def log_size(path: Path) -> int:
    return os.path.getsize(f"{path}-wal")


def reading_in_another_process(path: Path) -> sqlite3.Connection:
    """A read transaction, as a forgotten `sqlite3` shell has it.

    For SQLite another connection is like another process.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM message").fetchone()
    return connection


def test_the_log_shrinks_again(launch, path):
    """The write-ahead log grows while somebody reads. Later it is short again, without further sends."""
    server = serve(launch, path, MESSENGER_HISTORY_SYNC="normal")
    with closing(reading_in_another_process(path)):
        for _ in range(30):
            send(server, *("x" * 60_000 for _ in range(10)))
        assert log_size(path) > 12 * MIB
    wait_until(lambda: log_size(path) <= 8 * MIB, "the log is short again")


def refuse_bad(path: Path) -> None:
    """From now on the database refuses the text `bad`."""
    with closing(sqlite3.connect(path)) as file:
        file.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON message WHEN new.text = 'bad' BEGIN SELECT raise(ABORT, 'no'); END"
        )
        file.commit()


def test_another_process_that_reads_delays_no_send(launch, path):
    """Also after a message has failed: each send takes milliseconds."""
    server = serve(launch, path)
    times = send(server, "x" * 1000)
    # A message that fails leaves the log untidy.
    refuse_bad(path)
    with closing(reading_in_another_process(path)):
        with pytest.raises(Exception, match="cannot be written"):
            send(server, "bad")
        began = time.monotonic()
        for _ in range(20):
            times += send(server, "y" * 1000)
        # Each one that waited took the 5 s that a lock is waited for.
        assert time.monotonic() - began < 5
    assert len(read(server, times[0] - 1, 21)) == 21


def test_failures_are_logged_once(launch, path):
    """Fifty failed sends write one line, and one more when sends succeed again."""
    server = serve(launch, path)
    refuse_bad(path)
    for _ in range(50):
        with pytest.raises(Exception, match="cannot be written"):
            send(server, "bad")
    send(server, "good")
    log = server.log()
    assert log.count("cannot be written") == 1 and log.count("works again") == 1, log


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "reader"])
def test_a_stop_while_another_process_locks_the_file(launch, path, lock):
    """With waiting messages too, SIGTERM ends the server well within 10 s."""
    server = serve(launch, path)
    send(server, "one")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        if lock == "reader":
            other.execute("BEGIN")
            other.execute("SELECT * FROM message").fetchall()
        else:
            other.execute(lock)
        with connected(server.address) as channel:
            pending = []
            for _ in range(20):
                request = pb.SendMessageRequest(author="a", text="x")
                pending.append(stub(channel).SendMessage.future(request, timeout=30))
            if lock == "reader":
                assert [call.result() for call in pending]
            assert server.stop(within=9) < 9
            for call in pending:
                assert call.exception() is None or call.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
def test_a_start_while_another_process_locks_the_file(launch, path):
    """The error says that the file is locked. SIGTERM ends the start."""
    server = serve(launch, path)
    send(server, "one")
    server.stop()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in one_line(start(launch, path), UNAVAILABLE)
        waiting = start(launch, path)
        wait_until(lambda: catches_sigterm(waiting.pid), "it can be stopped")
        assert waiting.stop(within=4) < 4


def catches_sigterm(pid: int) -> bool:
    """Whether a process handles SIGTERM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, mask = line.partition(":")
        if name in ("SigCgt", "SigIgn") and int(mask, 16) >> (signal.SIGTERM - 1) & 1:
            return True
    return False


def test_lowered_limits_trim_at_the_start(launch, path):
    """Messages over the new limits are gone when the server listens."""
    server = serve(launch, path, MESSENGER_HISTORY_SYNC="normal")
    times = send(server, *(str(index) * 1000 for index in range(200)))
    server.stop()

    def held() -> list[int]:
        with closing(sqlite3.connect(path)) as file:
            return [row[0] for row in file.execute("SELECT time FROM message ORDER BY time")]

    server = serve(launch, path, MESSENGER_HISTORY_KEEP_MESSAGES=100)
    kept = held()
    assert kept == times[-len(kept) :] and 80 <= len(kept) <= 100
    server.stop()
    server = serve(launch, path, MESSENGER_HISTORY_KEEP_BYTES="64KiB")
    kept = held()
    assert kept == times[-len(kept) :] and 10 <= len(kept) <= 40
    assert len(read(server, kept[0] - 1, len(kept))) == len(kept)


def big_file(launch, path: Path, megabytes: int) -> None:
    """A history of this size, written by SQLite itself because that is fast."""
    serve(launch, path).stop()
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA synchronous = OFF")
        first = time.time_ns() - 10**12
        rows = ((first + index, "a", "x" * 200) for index in range(megabytes * 4_500))
        file.executemany("INSERT INTO message VALUES (?, ?, ?)", rows)
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.slow
def test_a_start_that_checks_a_big_file(launch, path):
    """It first logs the check and the size. SIGTERM ends it at once with exit code 0."""
    big_file(launch, path, megabytes=120)
    server = launch.server(MESSENGER_HISTORY=f"sqlite:{path}")
    wait_until(lambda: "checking the history" in server.log(), "it says that it checks")
    assert "MiB" in server.log()
    assert server.stop(within=5) < 5
    assert "listening" not in server.log()
    # Nothing has happened to the file.
    serve(launch, path)


@pytest.fixture
def disk(own_programs):
    disk = SmallDisk(kilobytes=4 << 10)
    yield disk
    disk.close()


def test_no_inodes_at_the_start(launch, disk):
    """A disk without inodes is full too."""
    with pytest.raises(OSError, match="No space"):
        for number in range(2000):
            (disk.path / str(number)).touch()
    assert "the disk is full" in one_line(start(launch, disk.path / "history.db"), UNAVAILABLE)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_full_disk_at_the_start(launch, disk, is_new):
    """One line says that the disk is full. A start that made no history leaves no files."""
    path = disk.path / "history.db"
    if not is_new:
        server = serve(launch, path)
        send(server, "one")
        server.stop()
    disk.fill()
    line = one_line(start(launch, path), UNAVAILABLE)
    assert "the disk is full" in line and str(disk.path) in line, line
    if is_new:
        assert os.listdir(disk.path) == ["ballast"]
    disk.make_room()
    serve(launch, path)
