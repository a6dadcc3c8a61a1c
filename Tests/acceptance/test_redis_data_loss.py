"""Redis loses acknowledged messages, or a replica lacks them. Readers learn of every loss, and of no other."""

import shutil
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.dns import SilentNameServer
from support.processes import free_port, one_line
from support.redis import Redis
from support.redis_room import accepted, refusal, send, take
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = pytest.mark.fault


@pytest.fixture
def redis(own_programs):
    """Redis keeps on disk all that it has acknowledged."""
    redis = Redis(free_port(), "--appendonly", "yes", "--appendfsync", "always")
    yield redis
    redis.close()


def test_redis_fails_over(launch, redis, link):
    """The primary becomes a replica and refuses writes, and the replica takes over.

    The server finds it by itself. The replica had every message, so no loss is reported to any reader.
    """
    replica = Redis(free_port(), "--replicaof", "127.0.0.1", str(redis.port), "--repl-diskless-sync-delay", "0")
    try:
        way = link(redis.port)
        server = launch.server(MESSENGER_HISTORY=f"redis://127.0.0.1:{way.port}/room").wait_ready()
        with connected(server.address) as channel, reading(channel) as reader:
            times = send(server.address, "1", "2")
            wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it all")
            way.lead_to(replica.port)
            replica.ask("REPLICAOF", "NO", "ONE")
            redis.ask("REPLICAOF", "127.0.0.1", str(replica.port))
            refusal(server.address, grpc.StatusCode.UNAVAILABLE)
            wait_until(lambda: accepted(server.address), "sends are accepted again")
            times += send(server.address, "3")
            messages = reader.take(4)
        assert [message.text for message in messages] == ["1", "2", "there again", "3"]
        assert [time_of(message) for message in messages if message.text != "there again"] == times
        assert "lost" not in server.log()
    finally:
        replica.close()


@pytest.mark.parametrize("is_alive", [True, False])
def test_redis_fails_over_by_name(launch, redis, is_alive):
    """The name of Redis leads to another address, and the old primary is gone or has become a replica.

    Each new connection asks for the name again, and the server makes one although the old primary still answers.
    """
    options = ["--replicaof", "127.0.0.1", str(redis.port), "--repl-diskless-sync-delay", "0"]
    with (
        closing(SilentNameServer(redis="127.0.0.1")) as names,
        closing(Redis(redis.port, *options, host="127.0.0.2")) as replica,
    ):
        server = launch.server(MESSENGER_HISTORY=redis.location(host="redis"), runner=names.command).wait_ready()
        with connected(server.address) as channel, reading(channel) as reader:
            send(server.address, "1", "2")
            wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it all")
            names.know(redis="127.0.0.2")
            replica.ask("REPLICAOF", "NO", "ONE")
            if is_alive:
                redis.ask("REPLICAOF", "127.0.0.2", str(replica.port))
            else:
                redis.kill()
            wait_until(lambda: accepted(server.address), "sends are accepted again", within=20)
            send(server.address, "3")
            messages = reader.take(4)
        assert [message.text for message in messages] == ["1", "2", "there again", "3"]
        assert replica.ask("XLEN", "room") == ":4"
        assert "lost" not in server.log()


def test_redis_is_emptied(start_server, redis):
    """FLUSHALL: every open stream of both servers ends with OUT_OF_RANGE. Readers that come back later get it too."""
    one, two = start_server(), start_server()
    times = send(one.address, "1", "2", "3")
    # What is in transit to the other server would be new there.
    assert take(two.address, times[2] - 1, 1) == times[2:]
    with connected(one.address) as first, connected(two.address) as second:
        with reading(first) as here, reading(second) as there:
            times += send(one.address, "4")
            assert time_of(here.take(1)[0]) == time_of(there.take(1)[0]) == times[3]
            redis.ask("FLUSHALL")
            assert here.status() == there.status() == grpc.StatusCode.OUT_OF_RANGE
        times += send(two.address, "5")
        assert_increasing(times)
        for channel in first, second:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
            error = failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))
            assert "messenger-held-after" in dict(error.trailing_metadata())
        with reading(first) as reader:
            times = send(two.address, "6")
            message = reader.take(1)[0]
            if message.text == "5":  # was still in transit to this server, so it is new
                message = reader.take(1)[0]
            assert time_of(message) == times[0]


HOUR = 3_600 * 10**9


def test_redis_is_emptied_and_its_clock_is_behind(start_server, redis):
    """A failover to an empty Redis whose clock is an hour behind: new messages have later times than all before, and
    every reader gets them.
    """
    one, two = start_server(), start_server()
    times = send(one.address, "before")
    # An hour's worth of clock, taken back by the emptying.
    redis.ask("XADD", "room", f"{(times[0] + HOUR) // 10**6}-0", "a", "Ivan", "t", "from the future")
    with connected(one.address) as first, connected(two.address) as second:
        with reading(first, after=times[0]) as here, reading(second, after=times[0]) as there:
            times.append(time_of(here.take(1)[0]))
            there.take(1)
            redis.ask("FLUSHALL")
            assert here.status() == there.status() == grpc.StatusCode.OUT_OF_RANGE
        with reading(first) as here, reading(second) as there:
            times += send(one.address, "1") + send(two.address, "2")
            assert [time_of(m) for m in here.take(2)] == [time_of(m) for m in there.take(2)] == times[2:]
    assert_increasing(times)


def test_redis_is_emptied_twice(start_server, redis):
    """Nothing was sent in between. A reader with a time from before still gets OUT_OF_RANGE."""
    server = start_server()
    times = send(server.address, "1", "2")
    for _ in range(3):
        with connected(server.address) as channel, reading(channel) as reader:
            redis.ask("FLUSHALL")
            wait_until(lambda: redis.ask("EXISTS", "room:begun") == ":1", "the server has noticed")
            assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))


def test_redis_is_emptied_before_the_first_message(start_server, redis):
    """The empty room begins again, not earlier than before."""
    server = start_server()
    with connected(server.address) as channel, reading(channel) as reader:
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
        began = time.time_ns()
        call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(began - HOUR)), timeout=20)
        failure(grpc.StatusCode.OUT_OF_RANGE, lambda: next(call))
        with reading(channel) as again:
            times = send(server.address, "first")
            assert time_of(again.take(1)[0]) == times[0]


def replace(target: Path, source: Path) -> None:
    """Replaces a folder with a copy of another one."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def test_redis_comes_back_without_its_last_messages(launch, start_server, redis):
    """As after a failover to a lagging replica: the loss of acknowledged messages is reported to every reader."""
    server = start_server()
    send(server.address, *map(str, range(10)))
    data, kept = redis.folder / "appendonlydir", redis.folder / "kept"
    replace(kept, data)
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, *map(str, range(10, 20)))
        reader.take(10)
        redis.kill()
        replace(data, kept)
        redis.start()
        # New messages as many as were lost: a count alone would not tell.
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE


def test_a_replica_lags_and_catches_up(launch, redis, replica, link):
    """The server gets to a replica that lacks messages: sends fail, and no loss is reported.

    Once the replica has caught up, readers continue. The server logs the lag after 2 s.
    """
    wire, way = link(redis.port), link(redis.port)
    replica.ask("REPLICAOF", "127.0.0.1", str(wire.port))
    wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica is there")
    server = launch.server(MESSENGER_HISTORY=f"redis://127.0.0.1:{way.port}/room").wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        times = send(server.address, "1")
        wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it")
        wire.silence()
        times += send(server.address, "2", "3")
        assert [time_of(message) for message in reader.take(3)] == times
        way.lead_to(replica.port)
        way.break_connections()
        wait_until(lambda: "a replica lags" in server.log(), "the log tells of the replica")
        assert "cannot be" in refusal(server.address, grpc.StatusCode.UNAVAILABLE).details()
        wire.restore()
        wait_until(lambda: server.log().count("works again") == 2, "the connection and the replica work again")
        replica.ask("REPLICAOF", "NO", "ONE")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert reader.take(1)[0].text == "there again"
    assert "lost" not in server.log()
    assert server.log().count("a replica lags") == 1


def test_a_replica_lags_and_takes_over(launch, redis, replica, link):
    """What it lacks when it becomes the primary is lost, and that is reported to readers."""
    wire, way = link(redis.port), link(redis.port)
    replica.ask("REPLICAOF", "127.0.0.1", str(wire.port))
    wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica is there")
    server = launch.server(MESSENGER_HISTORY=f"redis://127.0.0.1:{way.port}/room").wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, "1")
        wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it")
        wire.silence()
        send(server.address, "2", "3")
        reader.take(3)
        replica.ask("REPLICAOF", "NO", "ONE")
        way.lead_to(replica.port)
        way.break_connections()
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    wait_until(lambda: accepted(server.address), "sends are accepted again")
    assert "Redis has lost messages" in server.log()


def test_a_server_reads_from_a_replica(launch, start_server, redis, replica):
    """It starts, and readers get everything, also behind memory. Sends fail."""
    primary = start_server()
    times = send(primary.address, "1", "2")
    wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it")
    server = launch.server(MESSENGER_HISTORY=replica.location(), MESSENGER_HISTORY_MESSAGES=1).wait_ready()
    with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
        times += send(primary.address, *map(str, range(100)))
        assert [time_of(message) for message in reader.take(102)] == times
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        # The loss that another server has found is reported here too.
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    assert "Redis has lost" not in server.log()


def test_a_room_does_not_begin_at_a_replica(launch, replica):
    """A server that starts there says so, and ends."""
    assert "READONLY" in one_line(launch.server(MESSENGER_HISTORY=replica.location()), 69)


def test_redis_trims_faster_than_a_server_follows(start_server, redis):
    """One server was frozen while Redis trimmed messages that it had not seen.

    It is reported to its readers, then to the other server's, since they cannot know what is lost.
    """
    one, two = start_server(), start_server()
    with connected(two.address) as channel, reading(channel) as reader:
        two.freeze()
        send(one.address, *map(str, range(10)))
        redis.ask("XTRIM", "room", "MAXLEN", "5")
        two.thaw()
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    assert accepted(one.address)
