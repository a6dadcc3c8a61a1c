"""A room in Redis on Redis's bad days: what docs/scaling.md says of each, as far as test_fault_redis does not."""

import re
import time
from pathlib import Path

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.processes import ROOT, free_port, one_line
from support.redis import Redis
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = pytest.mark.fault


@pytest.fixture
def redis(ours):
    redis = Redis(free_port(), "--appendonly", "no")
    yield redis
    redis.close()


@pytest.fixture
def replica(redis):
    """Of `redis`, and in step with it."""
    replica = Redis(free_port(), "--replicaof", "127.0.0.1", str(redis.port), "--repl-diskless-sync-delay", "0")
    yield replica
    replica.close()


@pytest.fixture
def shared(launch, redis):
    """Starts servers of one room."""
    return lambda **settings: launch.server(**{"MESSENGER_HISTORY": redis.location(), **settings}).wait_ready()


def send(address: str, *texts: str) -> list[int]:
    with connected(address) as channel:
        return [time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=t))) for t in texts]


def refusal(address: str, code: grpc.StatusCode, text: str = "refused") -> grpc.RpcError:
    with connected(address) as channel:
        return failure(code, stub(channel).SendMessage, pb.SendMessageRequest(author="Ivan", text=text), timeout=20)


def accepted(address: str) -> bool:
    with connected(address) as channel:
        request = pb.SendMessageRequest(author="Ivan", text="there again")
        return stub(channel).SendMessage.future(request, timeout=10).exception(timeout=20) is None


def take(address: str, after: int, count: int) -> list[int]:
    with connected(address) as channel, reading(channel, after=after) as reader:
        return [time_of(message) for message in reader.take(count)]


# MARK: memory, disk, and what else Redis refuses


def test_promise_05_redis_out_of_memory(shared, redis):
    """Sends are refused at once; readers behind memory read on, streams stay open, and a second server starts."""
    server = shared(MESSENGER_HISTORY_MESSAGES=1)
    times = send(server.address, *map(str, range(200)))
    with connected(server.address) as channel, reading(channel) as live:
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        began = time.monotonic()
        assert "memory is full" in refusal(server.address, grpc.StatusCode.RESOURCE_EXHAUSTED).details()
        assert time.monotonic() - began < 4
        assert take(server.address, times[0], 199) == times[1:]
        second = shared(MESSENGER_HISTORY_MESSAGES=1)
        assert take(second.address, times[0], 199) == times[1:]
        refusal(second.address, grpc.StatusCode.RESOURCE_EXHAUSTED)
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        times += send(second.address, "next")
        assert time_of(live.take(1)[0]) == times[-1]
    assert "lost" not in server.log() + second.log()


def test_promise_05_a_room_begins_without_memory(shared, redis):
    """Its beginning takes some bytes, which Redis gives; and a loss that comes to light then is told."""
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    server = shared()
    refusal(server.address, grpc.StatusCode.RESOURCE_EXHAUSTED)
    with connected(server.address) as channel, reading(channel) as reader:
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE


def test_promise_05_redis_cannot_save(launch):
    """MISCONF, as when its disk is full: sends fail, readers read on, a second server starts."""
    redis = Redis(free_port(), "--appendonly", "no", "--save", "3600 1000000")
    try:
        setting = {"MESSENGER_HISTORY": redis.location(), "MESSENGER_HISTORY_MESSAGES": 1}
        server = launch.server(**setting).wait_ready()
        times = send(server.address, "1", "2", "3")
        # Redis cannot put its file in the place of a folder.
        (redis.folder / "dump.rdb").mkdir()
        redis.ask("BGSAVE")
        wait_until(lambda: redis.ask("SET", "other", "").startswith("-MISCONF"), "Redis has noticed")
        assert "cannot be written" in refusal(server.address, grpc.StatusCode.UNAVAILABLE).details()
        wait_until(lambda: "MISCONF" in server.log(), "the log tells of it")
        for each in server, launch.server(**setting).wait_ready():
            assert take(each.address, times[0], 2) == times[1:]
        (redis.folder / "dump.rdb").rmdir()
        redis.ask("BGSAVE")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
    finally:
        redis.close()


@pytest.mark.parametrize("key", ["room", "room:begun"])
def test_promise_05_the_key_is_something_elses(launch, redis, key):
    """A start says so, and leaves it as it is; a server under which it happens fails its sends, and goes on afterwards."""
    redis.ask("HSET", key, "field", "value")
    line = one_line(launch.server(MESSENGER_HISTORY=redis.location()), 69)
    assert "WRONGTYPE" in line and "choose another key" in line
    assert redis.ask("HGET", key, "field") == "$5"


def test_promise_05_the_key_becomes_something_elses(shared, redis):
    server = shared()
    send(server.address, "1")
    # At once: a server that sees no key takes its messages for lost, and begins a new stream.
    redis.ask("EVAL", "redis.call('RENAME', 'room', 'kept') redis.call('HSET', 'room', 'field', 'value')", "0")
    refusal(server.address, grpc.StatusCode.UNAVAILABLE)
    redis.ask("RENAME", "kept", "room")
    wait_until(lambda: accepted(server.address), "sends are accepted again")


def test_promise_05_redis_is_loading(launch, redis):
    """A start says so; a server that runs fails its sends, keeps its streams, and goes on when Redis has loaded."""
    server = launch.server(MESSENGER_HISTORY=redis.location()).wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        times = send(server.address, "1")
        # 3 s: 10 ms for each key, and between them Redis answers.
        redis.ask("EVAL", "for i = 1, 300 do redis.call('SET', 'k' .. i, string.rep('x', 4096)) end", "0")
        redis.ask("CONFIG", "SET", "rdbcompression", "no")
        redis.ask("SAVE")
        redis.kill()
        redis.start_loading("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
        assert "LOADING" in one_line(launch.server(MESSENGER_HISTORY=redis.location()), 69)
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert time_of(reader.take(1)[0]) == times[0]
        assert reader.take(1)[0].text == "there again"
    assert "lost" not in server.log()


# MARK: rights


def documented_rights() -> list[str]:
    """What docs/scaling.md gives to the user of a server."""
    found = re.search(r"^ACL SETUSER messenger (.*)$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def test_promise_05_the_documented_rights_suffice(launch, redis):
    """For two servers, readers behind memory, an age, and a loss that is told; each of them is needed."""
    rights = documented_rights()
    assert ">PASSWORD" in rights
    assert redis.ask("ACL", "SETUSER", "messenger", *rights) == "+OK"
    setting = {
        "MESSENGER_HISTORY": f"redis://messenger:PASSWORD@127.0.0.1:{redis.port}/room",
        "MESSENGER_HISTORY_MESSAGES": 1,
        "MESSENGER_HISTORY_KEEP_AGE": "1h",
        "MESSENGER_LOG_LEVEL": "debug",
    }
    one, two = (launch.server(**setting).wait_ready() for _ in range(2))
    times = send(one.address, "1", "2", "3")
    assert take(two.address, times[0], 2) == times[1:]
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert take(two.address, times[0], 2) == times[1:]
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    with connected(one.address) as channel, reading(channel) as reader:
        # As by an administrator: the server's user must not do it.
        redis.ask("DEL", "room", "room:begun")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    wait_until(lambda: accepted(one.address), "sends are accepted again")
    # A tick of the one who trims: also that is allowed.
    send(one.address, "4")
    assert "NOPERM" not in one.log() + two.log()
    redis.ask("ACL", "SETUSER", "messenger", "-xadd")
    refusal(one.address, grpc.StatusCode.UNAVAILABLE)
    wait_until(lambda: "NOPERM" in one.log(), "the log tells of it")
    redis.ask("ACL", "SETUSER", "messenger", "-xrange")
    line = one_line(launch.server(**setting), 69)
    assert "NOPERM" in line and "docs/scaling.md" in line


# MARK: replicas


def test_promise_05_a_replica_lags_and_catches_up(launch, redis, replica, link):
    """A balancer leads a server to a replica that lacks what the server has seen: nobody is told of a loss, sends fail,
    and when the replica has it all, readers go on. Takes the two seconds after which a lag is worth a line."""
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
        wait_until(lambda: server.log().count("well again") == 2, "the connection and the replica are well again")
        replica.ask("REPLICAOF", "NO", "ONE")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert reader.take(1)[0].text == "there again"
    assert "lost" not in server.log()
    assert server.log().count("a replica lags") == 1


def test_promise_05_a_replica_lags_and_takes_over(launch, redis, replica, link):
    """What it lacks when it becomes the primary is lost, and that is told."""
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
    assert "Redis has lost messages" in server.log()


def test_promise_05_a_server_reads_from_a_replica(launch, shared, redis, replica):
    """It starts and its readers get everything, also behind memory; its sends fail."""
    primary = shared()
    times = send(primary.address, "1", "2")
    wait_until(lambda: redis.ask("WAIT", "1", "100") == ":1", "the replica has it")
    server = launch.server(MESSENGER_HISTORY=replica.location(), MESSENGER_HISTORY_MESSAGES=1).wait_ready()
    with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
        times += send(primary.address, *map(str, range(100)))
        assert [time_of(message) for message in reader.take(102)] == times
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        # What another server has found lost is told here too.
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    assert "Redis has lost" not in server.log()


# MARK: the other rows


def test_promise_05_redis_trims_faster_than_a_server_follows(shared, redis):
    """A server that stood still while all that it had not seen was let go of tells its readers; the other's notice nothing
    but that: after a loss everybody is told."""
    one, two = shared(), shared()
    with connected(two.address) as channel, reading(channel) as reader:
        two.freeze()
        send(one.address, *map(str, range(10)))
        redis.ask("XTRIM", "room", "MAXLEN", "5")
        two.thaw()
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    assert accepted(one.address)


def test_promise_05_redis_freezes(shared, redis):
    """A send fails after the 5 s that Redis has for an answer; the stream stays open, and gets what comes after."""
    server = shared()
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, "1")
        redis.freeze()
        began = time.monotonic()
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        assert 4 < time.monotonic() - began < 15
        redis.thaw()
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        texts = [message.text for message in reader.take(2)]
        # The one that failed may have been kept.
        assert texts in (["1", "there again"], ["1", "refused"])


def test_promise_05_redis_is_frozen_at_a_start(launch, redis):
    """It gives up after the 5 s that Redis has for an answer."""
    redis.freeze()
    server = launch.server(MESSENGER_HISTORY=redis.location())
    assert "Redis does not answer" in one_line(server, 69)


def test_promise_05_redis_clock_steps_back(shared, redis):
    """IDs increase by their second part meanwhile. When a million of them are given out, sends fail until the clock has
    caught up: here 2 s."""
    server = shared()
    with connected(server.address) as channel, reading(channel) as reader:
        times = send(server.address, "1")
        ahead = times[0] // 10**6 + 2000
        redis.ask("XSETID", "room", f"{ahead}-999990")
        times += send(server.address, *map(str, range(9)))
        assert times[-1] == ahead * 10**6 + 999_999
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        wait_until(lambda: accepted(server.address), "the clock has caught up")
        messages = reader.take(11)
    assert [time_of(message) for message in messages[:10]] == times
    assert_increasing([time_of(message) for message in messages])


def test_promise_05_a_reader_whose_clock_is_ahead(shared, redis):
    """Up to 2 s: it gets what is sent after the time that it has asked for. More: it is told."""
    server = shared()
    with connected(server.address) as channel:
        after = send(server.address, "1")[0] + 1_500_000_000
        with reading(channel, after=after) as reader:
            early = send(server.address, "early")[0]
            assert early < after
            wait_until(lambda: send(server.address, "late")[0] > after, "the clock has caught up")
            assert time_of(reader.take(1)[0]) > after
        request = pb.ReadMessagesRequest(after=timestamp(time.time_ns() + 60 * 10**9))
        failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(stub(channel).ReadMessages(request, timeout=20)))


def test_promise_05_each_row_of_the_failures_names_a_test(ours):
    """And the tests are there."""
    page = (ROOT / "docs/scaling.md").read_text()
    rows = re.search(r"\| failure \|.*?\n\n", page, re.DOTALL)
    assert rows
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    for row in rows[0].strip().splitlines()[2:]:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, f"no test: {row}"
        for name in names:
            assert f"def {name}(" in tests, name
