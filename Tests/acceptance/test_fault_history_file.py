"""The server is killed or its disk is full while messages flow: no acknowledged message is lost."""

import resource
import time

import grpc
import pytest

from support.api import connected, pb, reading, stub, time_of
from support.disk import SmallDisk
from support.history import assert_clean

pytestmark = pytest.mark.fault

KILLS = 50
FULL = "The history's disk is full; the message was not accepted."


@pytest.fixture
def disk(own_programs):
    # The write-ahead log alone may take 4 MiB before SQLite empties it.
    disk = SmallDisk(kilobytes=16 << 10)
    yield disk
    disk.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("sync", ["full", "normal"])
def test_a_server_killed_fifty_times(launch, traffic, figure, tmp_path, sync):
    """kill -9 under load: every acknowledged message arrives exactly once, and there is no gap.

    A message that is sent again under its key until it is acknowledged arrives once too. Also with `normal`: only the machine's crash could lose messages there.
    """
    setting = {
        "MESSENGER_HISTORY": f"sqlite:{tmp_path / 'history.db'}",
        "MESSENGER_HISTORY_MESSAGES": 100,
        "MESSENGER_HISTORY_SYNC": sync,
    }
    server = launch.server(**setting).wait_ready()
    room = traffic(server.address)
    room.read()
    room.read()
    room.send_by(room.follow(launch.client(server.address).wait_ready()), pace=0)
    for _ in range(2):
        room.send(pace=0)
    insistent = room.insist(pace=0)
    slowest = 0.0
    for _ in range(KILLS):
        room.run(40)
        server.kill()
        began = time.monotonic()
        server = launch.server(port=server.port, **setting).wait_ready()
        slowest = max(slowest, time.monotonic() - began)
    room.until_normal()
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings)
    assert insistent.repeated, "no kill met a send"
    figure(f"server with a file ({sync}) killed {KILLS} times: longest until it listens again", f"{slowest:.2f} s")


def send(server, text: str):
    return stub(server).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=20)


def send_until_refused(channel) -> tuple[list[int], grpc.RpcError]:
    times = []
    for index in range(1_000):
        try:
            times.append(time_of(send(channel, str(index).ljust(4_000))))
        except grpc.RpcError as error:
            return times, error
    raise AssertionError("a thousand messages fitted")


def test_a_full_disk(launch, disk):
    """Sends fail with RESOURCE_EXHAUSTED and streams stay open. With space again, sends succeed.

    Readers never see a refused message and miss no acknowledged one, also after kill -9.
    """
    setting = {"MESSENGER_HISTORY": f"sqlite:{disk.path / 'history.db'}"}
    server = launch.server(**setting).wait_ready()
    client = launch.client(server.address).wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        times = [time_of(send(channel, "first"))]
        disk.fill()
        more, error = send_until_refused(channel)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert "full" in error.details()
        answer = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "x" * 4_000})
        assert (answer.status, answer.json()["error"]) == (507, FULL)
        disk.make_room()
        times += more + [time_of(send(channel, "again"))]
        assert [time_of(message) for message in reader.take(len(times))] == times
    log = server.log()
    assert log.count("cannot be written") == 1 and log.count("works again") == 1, log
    server.kill()
    server = launch.server(port=server.port, **setting).wait_ready()
    with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
        assert [time_of(message) for message in reader.take(len(times))] == times


def test_a_file_that_may_not_grow(launch, tmp_path):
    """At `ulimit -f` sends fail with UNAVAILABLE and the server lives. With a higher limit they succeed again."""
    server = launch.server(MESSENGER_HISTORY=f"sqlite:{tmp_path / 'history.db'}").wait_ready()
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    with connected(server.address) as channel, reading(channel) as reader:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (200_000, hard))
        times, error = send_until_refused(channel)
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        times.append(time_of(send(channel, "again")))
        assert [time_of(message) for message in reader.take(len(times))] == times


def test_a_full_disk_under_load(launch, traffic, disk):
    """Readers never see a refused message, and get all others."""
    server = launch.server(MESSENGER_HISTORY=f"sqlite:{disk.path / 'history.db'}").wait_ready()
    room = traffic(server.address)
    room.read()
    room.send_by(room.follow(launch.client(server.address).wait_ready()))
    room.send(padding=500)
    room.run(100)
    disk.fill()
    time.sleep(1)  # the fault itself, not a wait for something
    disk.make_room()
    room.until_normal()
    room.run(100)
    assert_clean(room.finish())
