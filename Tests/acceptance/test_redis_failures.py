"""Redis fails or refuses: what docs/scaling.md promises for each case."""

import re
import time
from contextlib import closing

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.dns import SilentNameServer
from support.processes import ROOT, free_port, one_line
from support.redis import Redis
from support.redis_room import accepted, refusal, send, take
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = pytest.mark.fault


def test_redis_out_of_memory(start_server, redis):
    """Sends fail at once. Readers behind memory continue, streams stay open, and a second server starts."""
    server = start_server(MESSENGER_HISTORY_MESSAGES=1)
    times = send(server.address, *map(str, range(200)))
    with connected(server.address) as channel, reading(channel) as live:
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        began = time.monotonic()
        assert "memory is full" in refusal(server.address, grpc.StatusCode.RESOURCE_EXHAUSTED).details()
        assert time.monotonic() - began < 4
        assert take(server.address, times[0], 199) == times[1:]
        second = start_server(MESSENGER_HISTORY_MESSAGES=1)
        assert take(second.address, times[0], 199) == times[1:]
        refusal(second.address, grpc.StatusCode.RESOURCE_EXHAUSTED)
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        times += send(second.address, "next")
        assert time_of(live.take(1)[0]) == times[-1]
    assert "lost" not in server.log() + second.log()


def test_a_room_begins_without_memory(start_server, redis):
    """A room can begin although Redis is full, and can report a loss."""
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    server = start_server()
    refusal(server.address, grpc.StatusCode.RESOURCE_EXHAUSTED)
    with connected(server.address) as channel, reading(channel) as reader:
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE


def test_redis_cannot_save(launch):
    """MISCONF, as with a full disk: sends fail, readers continue, and a second server starts."""
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
def test_the_key_holds_something_else(launch, redis, key):
    """The start is refused, and the key does not change."""
    redis.ask("HSET", key, "field", "value")
    line = one_line(launch.server(MESSENGER_HISTORY=redis.location()), 69)
    assert "WRONGTYPE" in line and "choose another key" in line
    assert redis.ask("HGET", key, "field") == "$5"


def test_the_key_is_overwritten_by_something_else(start_server, redis):
    """Sends fail, and streams stay open until the room is back."""
    server = start_server()
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, "1")
        # At once: a server that sees no key takes its messages for lost, and begins a new stream.
        redis.ask("EVAL", "redis.call('RENAME', 'room', 'kept') redis.call('HSET', 'room', 'field', 'value')", "0")
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        redis.ask("RENAME", "kept", "room")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert [message.text for message in reader.take(2)] == ["1", "there again"]


def test_redis_is_loading(launch, redis):
    """A start is refused. A running server refuses sends and keeps its streams until Redis has loaded."""
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


def documented_rights() -> list[str]:
    """The rights that docs/scaling.md gives to the user of a server."""
    found = re.search(r"^ACL SETUSER messenger (.*)$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE)
    assert found
    return found[1].split()


def test_the_documented_rights_suffice(launch, redis):
    """For two servers, readers behind memory, an age limit and a loss. Each right is needed."""
    rights = documented_rights()
    assert ">PASSWORD" in rights
    assert redis.ask("ACL", "SETUSER", "messenger", *rights) == "+OK"
    setting = {
        "MESSENGER_HISTORY": f"redis://messenger:PASSWORD@127.0.0.1:{redis.port}/room",
        "MESSENGER_HISTORY_MESSAGES": 1,
        "MESSENGER_HISTORY_KEEP_AGE": "1h",
        "MESSENGER_IDEMPOTENCY_KEYS": 1,
        "MESSENGER_LOG_LEVEL": "debug",
    }
    one, two = (launch.server(**setting).wait_ready() for _ in range(2))
    times = send(one.address, "1", "2", "3")
    assert take(two.address, times[0], 2) == times[1:]
    with connected(two.address) as channel:
        request = pb.ReadMessagesRequest(last=2, untilNow=True)
        assert [time_of(message) for message in stub(channel).ReadMessages(request, timeout=20)] == times[1:]
        # The server remembers one key, so the second one makes it forget the first.
        for key in "12":
            request = pb.SendMessageRequest(author="Ivan", text="hey", idempotencyKey=key)
            times.append(time_of(stub(channel).SendMessage(request, timeout=30)))
            assert time_of(stub(channel).SendMessage(request, timeout=30)) == times[-1]
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert take(two.address, times[0], 4) == times[1:]
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    with connected(one.address) as channel, reading(channel) as reader:
        # As by an administrator: the server's user must not do it.
        redis.ask("DEL", "room", "room:begun")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
    wait_until(lambda: accepted(one.address), "sends are accepted again")
    # A tick of the one who trims: also that is allowed.
    send(one.address, "4")
    assert "NOPERM" not in one.log() + two.log()
    with connected(one.address) as channel, reading(channel) as reader:
        redis.ask("ACL", "SETUSER", "messenger", "-xadd")
        refusal(one.address, grpc.StatusCode.UNAVAILABLE)
        wait_until(lambda: "NOPERM" in one.log(), "the log tells of it")
        redis.ask("ACL", "SETUSER", "messenger", "+xadd")
        wait_until(lambda: accepted(one.address), "sends are accepted again")
        assert reader.take(1)[0].text == "there again"
        # A right that only readers need.
        redis.ask("ACL", "SETUSER", "messenger", "-xrevrange")
        read = stub(channel).ReadMessages(pb.ReadMessagesRequest(last=2, untilNow=True), timeout=20)
        failure(grpc.StatusCode.UNAVAILABLE, lambda: next(read))
        wait_until(lambda: "the history cannot be read" in one.log(), "the log tells of it")
        redis.ask("ACL", "SETUSER", "messenger", "+xrevrange")
    redis.ask("ACL", "SETUSER", "messenger", "-xrange")
    line = one_line(launch.server(**setting), 69)
    assert "NOPERM" in line and "docs/scaling.md" in line


def test_sends_fail_while_redis_is_frozen(start_server, redis):
    """A send fails after 5 s. The stream stays open, and gets later messages."""
    server = start_server()
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


def test_redis_is_frozen_at_a_start(launch, redis):
    """The server gives up after 5 s."""
    redis.freeze()
    server = launch.server(MESSENGER_HISTORY=redis.location())
    assert "Redis does not answer" in one_line(server, 69)


def test_a_stop_while_a_start_waits_for_redis(launch, redis):
    """SIGTERM ends the start at once, with exit code 0. Redis may have several addresses, and take 5 s at each."""
    redis.freeze()
    server = launch.server(MESSENGER_HISTORY=redis.location())
    wait_until(lambda: redis.unread() > 0, "the server waits for Redis")
    assert server.stop() < 2
    assert "stopped before the history was open" in server.log()


def test_redis_clock_steps_back(start_server, redis):
    """IDs then increase by their second part.

    After a million of them, sends fail until the clock has caught up: here 2 s.
    """
    server = start_server()
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


def test_a_reader_whose_clock_is_ahead(start_server, redis):
    """Up to 2 s ahead, it gets what is sent after its time. Further ahead, it gets an error."""
    server = start_server()
    with connected(server.address) as channel:
        after = send(server.address, "1")[0] + 1_500_000_000
        with reading(channel, after=after) as reader:
            early = send(server.address, "early")[0]
            assert early < after
            wait_until(lambda: send(server.address, "late")[0] > after, "the clock has caught up")
            assert time_of(reader.take(1)[0]) > after
        request = pb.ReadMessagesRequest(after=timestamp(time.time_ns() + 60 * 10**9))
        failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(stub(channel).ReadMessages(request, timeout=20)))


def test_a_server_does_not_start_without_redis(launch):
    """One line names the address, without the password."""
    setting = f"redis://user:secret@127.0.0.1:{free_port()}/room"
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=setting), 69)
    assert "127.0.0.1" in line and "secret" not in line


def test_no_name_server_answers(start_server, redis, figure):
    """New connections go to the last known address of Redis. The server stops in time."""
    with closing(SilentNameServer(redis="127.0.0.1")) as names:
        server = start_server(MESSENGER_HISTORY=redis.location(host="redis"), runner=names.command)
        with connected(server.address) as channel, reading(channel) as reader:
            times = send(server.address, "before")
            names.forget()
            redis.ask("CLIENT", "KILL", "TYPE", "normal")
            began = time.monotonic()
            wait_until(lambda: accepted(server.address), "a message is accepted", within=10)
            figure("no name server answers: until a message is accepted", f"{time.monotonic() - began:.2f} s")
            assert time.monotonic() - began < 5
            assert names.was_asked()
            times += [time_of(message) for message in reader.take(2)[1:]]
        server.stop()
    assert_increasing(times)


def test_a_start_without_a_name_server(launch, redis):
    """It ends with one line within seconds. The system would take a minute to give up."""
    with closing(SilentNameServer()) as names:
        server = launch.server(MESSENGER_HISTORY=redis.location(host="redis"), runner=names.command)
        assert "no name server has answered for redis" in one_line(server, 69)
