"""A history in a file survives restarts. The server refuses a file that it cannot trust."""

import os
import sqlite3
import time
from pathlib import Path

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.history_file import start
from support.processes import one_line
from support.room import assert_increasing, collect
from support.waiting import wait_until

BAD_DATA, UNAVAILABLE = 65, 69


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "history.db")


@pytest.fixture
def durable(launch, path):
    """Starts a server on the file, at the port of an earlier one if one is given."""
    return lambda **settings: launch.server(**{"MESSENGER_HISTORY": f"sqlite:{path}", **settings}).wait_ready()


def send(address: str, *texts: str) -> list[int]:
    with connected(address) as channel:
        return [time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=t))) for t in texts]


def read(address: str, after: int, count: int) -> list:
    with connected(address) as channel, reading(channel, after) as reader:
        return reader.take(count)


@pytest.mark.parametrize("sync", ["full", "normal"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_messages_survive_a_restart(durable, end, sync):
    """After a stop or a kill, the next server has every acknowledged message unchanged, and times still increase."""
    texts = ["", "naïve 🙂", "before\0after", "x" * 60_000]
    server = durable(MESSENGER_HISTORY_SYNC=sync)
    times = send(server.address, *texts)
    getattr(server, end)()
    server = durable(port=server.port, MESSENGER_HISTORY_SYNC=sync)
    times += send(server.address, "next")
    messages = read(server.address, times[0] - 1, 5)
    assert [message.text for message in messages] == [*texts, "next"]
    assert [time_of(message) for message in messages] == times
    assert_increasing(times)


def test_a_client_resumes_over_a_restart(launch, durable):
    """It gets what was sent while it was away, without a gap."""
    server = durable()
    near = launch.client(server.address).wait_ready()
    sent = [near.http.send("Ivan", "before")]
    server.kill()
    server = durable(port=server.port)
    near.wait_ready()
    sent += [near.http.send("Ivan", "after")]
    assert [message["sendTime"] for message in collect(near.http, 2)] == sent
    assert near.http.request("GET", "/readyz").json()["gaps"] == 0


def test_a_reader_behind_memory_reads_from_the_file(durable):
    """The server holds three messages in memory. A reader gets all hundred, then the next ones."""
    server = durable(MESSENGER_HISTORY_MESSAGES=3)
    with connected(server.address) as channel, reading(channel) as first:
        times = send(server.address, *map(str, range(100)))
        with reading(channel, after=times[0] - 1) as late:
            times += send(server.address, "next")
            assert [time_of(message) for message in late.take(101)] == times
        assert [time_of(message) for message in first.take(101)] == times


def test_a_stalled_reader_misses_nothing(durable):
    """It reads nothing while 24 MB pass, more than memory holds, and gets all of it later."""
    server = durable(MESSENGER_HISTORY_BYTES="1MiB", MESSENGER_HISTORY_SYNC="normal")
    with connected(server.address) as channel:
        call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), timeout=120)
        assert "messenger-position" in dict(call.initial_metadata())
        # Its buffers fill up long before the end, and nobody empties them.
        times = send(server.address, *(str(index).ljust(60_000) for index in range(400)))
        assert [time_of(next(call)) for _ in times] == times
        call.cancel()


def test_messages_that_are_no_longer_kept(durable):
    """Ten messages are kept. A reader from before them learns at once from when on messages are held."""
    server = durable(MESSENGER_HISTORY_KEEP_MESSAGES=10, MESSENGER_HISTORY_MESSAGES=2)
    times = send(server.address, *map(str, range(50)))
    with connected(server.address) as channel:
        call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
        error = failure(grpc.StatusCode.OUT_OF_RANGE, lambda: next(call))
        assert "only messages after" in error.details()
        with reading(channel, after=times[-10]) as reader:
            assert [time_of(message) for message in reader.take(9)] == times[-9:]


def test_old_messages_are_removed_without_sends(durable, path):
    """Messages older than a second are removed; the newest stays."""
    server = durable(MESSENGER_HISTORY_KEEP_AGE="1s")
    times = send(server.address, *map(str, range(5)))

    def held() -> list[int]:
        with sqlite3.connect(path) as file:
            return [row[0] for row in file.execute("SELECT time FROM message")]

    wait_until(lambda: held() == times[-1:], "the old ones are gone")


def test_times_increase_though_the_clock_was_ahead(durable, path):
    """The file's last message is from tomorrow. The next one is later still."""
    server = durable()
    send(server.address, "today")
    server.stop()
    tomorrow = time.time_ns() + 86_400 * 10**9
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO message VALUES (?, 'Ivan', 'tomorrow')", (tomorrow,))
    server = durable(port=server.port)
    assert send(server.address, "later")[0] == tomorrow + 1


def damage_text(path: str) -> None:
    with open(path, "w") as file:
        file.write("this is no history\n" * 1000)


def damage_page(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)


def damage_end(path: str) -> None:
    with open(path, "r+b") as file:
        file.truncate(4096 * 2)


@pytest.mark.parametrize("damage", [damage_text, damage_page, damage_end])
def test_a_damaged_file_stops_the_start(launch, durable, path, damage):
    """One line names the file, the exit code is 65 (EX_DATAERR), and the file does not change."""
    server = durable()
    send(server.address, *("x" * 1000 for _ in range(100)))
    server.stop()
    damage(path)
    with open(path, "rb") as file:
        before = file.read()
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), BAD_DATA)
    assert path in line and "damaged" in line
    with open(path, "rb") as file:
        assert file.read() == before


def damage_log(offset: float, size: int):
    """Overwrites some bytes of a write-ahead log, behind a part of it."""

    def damage(path: str) -> None:
        with open(f"{path}-wal", "r+b") as file:
            file.seek(int(os.path.getsize(file.name) * offset))
            file.write(b"\xff" * size)

    return damage


LOG_DAMAGES = {
    "header": damage_log(0, 32),
    "salt": damage_log(0, 20),
    "one byte": damage_log(0.4, 1),
    "pages": damage_log(0.2, 9000),
}


@pytest.mark.parametrize("damage", LOG_DAMAGES.values(), ids=LOG_DAMAGES)
def test_a_damaged_log_stops_the_start(launch, durable, path, damage):
    """After kill -9 the newest messages are only in the write-ahead log.

    SQLite silently ignores everything behind a damaged frame; the server does not.
    """
    server = durable()
    send(server.address, *("x" * 1000 for _ in range(100)))
    server.kill()
    damage(path)
    before = files(path)
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), BAD_DATA)
    assert path in line and "damaged" in line
    assert files(path) == before


def test_a_cut_file_beside_its_log(launch, durable, path):
    """The server starts if the log has all that is missing. Otherwise it refuses."""
    server = durable()
    times = send(server.address, *("x" * 1000 for _ in range(100)))
    server.kill()
    with open(path, "r+b") as file:
        file.truncate(4096)
    server = durable(port=server.port)
    assert [time_of(message) for message in read(server.address, times[0] - 1, 100)] == times
    server.stop()
    server = durable(port=server.port)
    send(server.address, "one page in the log, and the others in the file")
    server.kill()
    with open(path, "r+b") as file:
        file.truncate(4096 * 4)
    before = files(path)
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), BAD_DATA)
    assert path in line and "damaged" in line
    assert files(path) == before


@pytest.mark.parametrize("rest", [b"", bytes(32), bytes(5000)], ids=["nothing", "zeros", "more zeros"])
def test_a_log_that_was_not_begun(durable, path, rest):
    """A power cut may leave a log without a header. That is no damage."""
    server = durable()
    times = send(server.address, "1")
    server.stop()
    with open(f"{path}-wal", "wb") as file:
        file.write(rest)
    server = durable(port=server.port)
    assert [time_of(message) for message in read(server.address, times[0] - 1, 1)] == times


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_the_end_of_a_log_that_was_not_finished(durable, path, kept):
    """An incomplete last transaction is no damage: no sender got an answer for it."""
    server = durable()
    times = send(server.address, *("x" * 1000 for _ in range(20)))
    server.kill()
    os.truncate(f"{path}-wal", int(os.path.getsize(f"{path}-wal") * kept))
    server = durable(port=server.port)
    first = read(server.address, times[0] - 1, 1)
    assert [time_of(message) for message in first] == times[:1]


def files(path: str) -> list[bytes]:
    """The bytes of the database and of its log."""
    return [Path(path + suffix).read_bytes() for suffix in ("", "-wal")]


def test_a_file_of_a_later_version_stops_the_start(launch, durable, path):
    """The file does not change."""
    durable().stop()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 7")
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), BAD_DATA)
    assert path in line and "later version" in line


def test_a_database_of_another_program_stops_the_start(launch, path):
    """The file does not change."""
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE cats (name TEXT)")
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), BAD_DATA)
    assert path in line


def test_two_servers_do_not_share_a_file(launch, durable, path):
    """The second server says that the file is in use."""
    durable()
    assert "in use" in one_line(launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}"), UNAVAILABLE)


def test_a_missing_folder_stops_the_start(launch):
    """One line names the path."""
    setting = "sqlite:/nowhere/at/all.db"
    assert "/nowhere/at/all" in one_line(launch.program("messenger-server", MESSENGER_HISTORY=setting), UNAVAILABLE)


def test_a_history_with_the_latest_possible_time(launch, durable, path):
    """No message could follow it: the start is refused."""
    server = durable()
    send(server.address, "one")
    server.stop(within=9)
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO message VALUES (?, 'Ivan', 'last')", [2**63 - 1])
    assert "2262-04-11" in one_line(start(launch, path), BAD_DATA)
