"""Several servers share one room in Redis: one order, and no loss when one of them or Redis fails."""

import time

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.history import Outcome, assert_clean
from support.processes import free_port
from support.redis import Redis
from support.redis_room import refusal, send, take
from support.room import assert_increasing, collect, nanoseconds
from support.waiting import wait_until

pytestmark = pytest.mark.fault

KILLS = 50


@pytest.fixture
def redis(own_programs):
    """Redis keeps on disk all that it has acknowledged."""
    redis = Redis(free_port(), "--appendonly", "yes", "--appendfsync", "always")
    yield redis
    redis.close()


def test_two_servers_are_one_room(start_server):
    """What one server accepts is read from both, in one order. A reader resumes at the other one by the same time."""
    one, two = start_server(), start_server()
    with connected(two.address) as channel, reading(channel) as reader:
        times = send(one.address, "", "naïve 🙂", "a\0b") + send(two.address, "x" * 60_000)
        messages = reader.take(4)
    assert [time_of(message) for message in messages] == times
    assert [message.text for message in messages] == ["", "naïve 🙂", "a\0b", "x" * 60_000]
    assert_increasing(times)
    with connected(one.address) as channel, reading(channel, after=times[1]) as reader:
        assert [time_of(message) for message in reader.take(2)] == times[2:]


def test_a_reader_behind_memory_reads_from_redis(start_server):
    """The server holds three messages in memory. A late reader gets all hundred, then the next ones."""
    server = start_server(MESSENGER_HISTORY_MESSAGES=3)
    times = send(server.address, *map(str, range(100)))
    with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
        times += send(server.address, "next")
        assert [time_of(message) for message in reader.take(101)] == times


@pytest.mark.timeout(600)
def test_servers_killed_fifty_times(launch, traffic, redis, figure):
    """kill -9 under load, of both in turn: readers of both get every acknowledged message exactly once.

    A message that is sent again under its key, to either of them, arrives once too.
    """
    setting = {"MESSENGER_HISTORY": redis.location(), "MESSENGER_HISTORY_MESSAGES": 100}
    servers = [launch.server(**setting).wait_ready() for _ in range(2)]
    steady = launch.server(**setting).wait_ready()
    room = traffic(steady.address)
    room.read()
    for server in servers:
        room.read(server.address)
    # Before anything is sent: what is in transit to another server would be new to a client there.
    followers = [room.follow(launch.client(server.address).wait_ready()) for server in servers]
    for server, follower in zip(servers, followers, strict=True):
        room.send(server.address, pace=0)
        room.send_by(follower, pace=0)
    insistent = room.insist(*(server.address for server in servers), pace=0)
    for number in range(KILLS):
        room.run(40)
        servers[number % 2].kill()
        servers[number % 2] = launch.server(port=servers[number % 2].port, **setting).wait_ready()
    room.until_normal()
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings)
    assert insistent.repeated, "no kill met a send"


def test_one_of_two_servers_freezes(launch, traffic, redis):
    """Users of the other notice nothing. Once it runs again, it catches up."""
    one, two = (launch.server(MESSENGER_HISTORY=redis.location()).wait_ready() for _ in range(2))
    room = traffic(one.address)
    room.read()
    room.read(two.address)
    room.send()
    room.run(100)
    two.freeze()
    room.run(500)
    two.thaw()
    room.until_normal()
    assert_clean(room.finish())


def test_redis_is_killed_and_restarted(launch, traffic, redis, figure):
    """Its append-only file has all that it acknowledged: sends fail meanwhile, streams stay open, nothing is lost."""
    servers = [launch.server(MESSENGER_HISTORY=redis.location()).wait_ready() for _ in range(2)]
    room = traffic(servers[0].address)
    readers = [room.read(server.address) for server in servers]
    for server in servers:
        room.send(server.address)
    for _ in range(3):
        room.run(200)
        redis.kill()
        began = time.monotonic()
        assert "cannot be reached" in refusal(servers[0].address, grpc.StatusCode.UNAVAILABLE).details()
        assert time.monotonic() - began < 4, "it does not wait for Redis"
        redis.start()
        figure("Redis killed and restarted: everybody sends and gets again", f"{room.until_normal():.2f} s")
    history = room.finish()
    assert_clean(history)
    assert all(reader.ends == 1 for reader in readers), "a stream has ended before the test"


def test_redis_is_restarted_while_nobody_sends(start_server, redis):
    """The next send is accepted at once, and a reader behind memory gets everything, over new connections."""
    server = start_server(MESSENGER_HISTORY_MESSAGES=1)

    def read_all() -> None:
        with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
            assert [time_of(message) for message in reader.take(len(times))] == times

    times = send(server.address, "first", "second")
    read_all()
    redis.kill()
    redis.start()
    times += send(server.address, "third")
    redis.kill()
    redis.start()
    read_all()


def test_redis_freezes(launch, traffic, redis):
    """Sends fail in bounded time. Later everything continues."""
    server = launch.server(MESSENGER_HISTORY=redis.location()).wait_ready()
    room = traffic(server.address)
    room.read()
    sender = room.send()
    room.run(100)
    redis.freeze()
    # It may have been kept: nobody can know.
    wait_until(lambda: sender.sends[-1].outcome is Outcome.UNKNOWN, "a send has failed", within=10)
    redis.thaw()
    room.until_normal()
    assert_clean(room.finish())


@pytest.mark.parametrize("keep", [{"MESSAGES": 200}, {"AGE": "1s"}], ids=["number", "age"])
def test_old_messages_are_trimmed_under_load(launch, traffic, redis, keep):
    """Readers that follow miss nothing, also behind a memory of 50 messages.

    A reader that comes back from before the oldest message gets OUT_OF_RANGE, one from after it does not.
    """
    setting = {f"MESSENGER_HISTORY_KEEP_{name}": value for name, value in keep.items()}
    setting |= {"MESSENGER_HISTORY": redis.location(), "MESSENGER_HISTORY_MESSAGES": 50}
    one, two = (launch.server(**setting).wait_ready() for _ in range(2))
    first = send(one.address, "first")[0]
    # While it is in transit to the other server, it would be new there.
    assert take(two.address, first - 1, 1) == [first]
    room = traffic(one.address)
    for server in one, two:
        room.read(server.address)
    follower = room.follow(launch.client(two.address).wait_ready())
    for server in one, two:
        room.send(server.address)
    room.send_by(follower)
    room.run(1500)
    wait_until(lambda: int(redis.ask("XLEN", "room")[1:]) < room.accepted / 2, "old messages have gone")
    room.run(500)
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings)
    last = send(two.address, "last")[0]
    three = launch.server(**setting).wait_ready()
    for server in one, two, three:
        with connected(server.address) as channel:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(first)), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))
            with reading(channel, after=last - 1) as reader:
                assert time_of(reader.take(1)[0]) == last


def test_an_idle_room_with_an_age_limit(start_server, redis):
    """In the end all messages are removed.

    A reader that had the last one comes back without a gap, others get OUT_OF_RANGE.
    """
    setting = {"MESSENGER_HISTORY_KEEP_AGE": "1s", "MESSENGER_HISTORY_MESSAGES": 1}
    server = start_server(**setting)
    times = send(server.address, *map(str, range(5)))
    wait_until(lambda: redis.ask("XLEN", "room") == ":0", "all have gone")
    for server in server, start_server(**setting):
        with connected(server.address) as channel:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))
            with reading(channel, after=times[-1]) as reader:
                more = send(server.address, "next")
                assert [time_of(message) for message in reader.take(1)] == more
                times += more
    assert_increasing(times)


def test_a_client_continues_at_another_server(launch, start_server, link):
    """Its server is killed, and the balancer leads it to another one of the room: its buffer has every message once."""
    one, two = start_server(), start_server()
    way = link(one.port)
    client = launch.client(way.address).wait_ready()
    times = send(one.address, "1") + send(two.address, "2")
    one.kill()
    times += send(two.address, "3")
    way.lead_to(two.port)
    client.wait_ready()
    times.append(nanoseconds(client.http.send("Ivan", "4")))
    assert [nanoseconds(message["sendTime"]) for message in collect(client.http, 4)] == times
    assert client.http.request("GET", "/readyz").json()["gaps"] == 0


def test_a_client_says_what_is_wrong_with_redis(launch, start_server, redis):
    """Status and sentence tell Redis that is away from Redis that is full."""
    client = launch.client(start_server().address).wait_ready()

    def answer() -> tuple[int, str]:
        response = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "x" * 1000})
        return response.status, response.json()["error"]

    redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert answer() == (507, "The history's memory is full; the message was not accepted.")
    redis.kill()
    assert answer() == (503, "The history cannot be reached now.")


def test_a_server_stops_while_redis_hangs(start_server, redis):
    """Calls that wait for Redis end with UNAVAILABLE, and the server stops within its grace, with one more log line."""
    server = start_server()
    with connected(server.address) as channel, reading(channel) as reader:
        send(server.address, "first")
        reader.take(1)
        redis.freeze()
        waiting = stub(channel).SendMessage.future(pb.SendMessageRequest(author="Ivan", text="waits"), timeout=20)
        wait_until(lambda: redis.unread() > 0, "the message is with Redis")
        assert server.stop() < 4
        assert waiting.code() is reader.status() is grpc.StatusCode.UNAVAILABLE
        assert waiting.details() == "the history cannot be reached now"
    redis.thaw()
    after = server.log().partition("stopping")[2].splitlines()[1:]
    assert len(after) == 2 and "Redis does not answer" in after[0] and "stopped" in after[1], server.log()


@pytest.mark.parametrize("end, back", [("kill", "start"), ("freeze", "thaw")])
def test_a_reader_behind_memory_waits_for_redis(start_server, redis, end, back):
    """Its stream stays open while Redis is away, and then continues."""
    server = start_server(MESSENGER_HISTORY_MESSAGES=1)
    times = send(server.address, "1", "2", "3")
    with connected(server.address) as channel:
        getattr(redis, end)()
        with reading(channel, after=times[0] - 1) as reader:
            wait_until(lambda: "Redis is unavailable" in server.log(), "the server has noticed")
            getattr(redis, back)()
            assert [time_of(message) for message in reader.take(3)] == times


FOREIGN = [
    # The millionth message of a millisecond, for which there is no time.
    ("1000000", ("a", "Ivan", "t", "too many")),
    ("5", ("cat", "Tom")),
    ("5", ("a", "Ivan", "t", "one", "more", "field")),
    # More than a client can receive: it would ask for it again and again.
    ("5", ("a", "Ivan", "t", "x" * (5 << 20))),
    ("5", ("a", "x" * (65 << 10), "t", "hey")),
]


@pytest.mark.parametrize("number, fields", FOREIGN, ids=["late", "foreign", "more fields", "long text", "long author"])
def test_entries_that_are_no_messages_are_skipped(start_server, redis, number, fields):
    """Entries of others, or with an impossible time: readers and new servers skip them, and a server warns once."""
    one, two = start_server(), start_server(MESSENGER_HISTORY_MESSAGES=1)

    def add_foreign(time: int) -> None:
        redis.ask("XADD", "room", f"{time // 10**6}-{number}", *fields)

    times = send(one.address, "1")
    with connected(one.address) as channel, reading(channel, after=times[0] - 1) as reader:
        for text in "2", "3":
            add_foreign(times[-1])
            times += send(one.address, text)
        assert [time_of(message) for message in reader.take(3)] == times
        # More of them than a reader behind memory takes at once, and one at the end.
        for _ in range(200):
            redis.ask("XADD", "room", "*", "cat", "Tom")
        times += send(two.address, "4", "5")
        add_foreign(times[-1])
        three = start_server()
        for server in two, three:
            with connected(server.address) as other, reading(other, after=times[0] - 1) as late:
                assert [time_of(message) for message in late.take(len(times))] == times
                times += send(one.address, "next")
                assert time_of(late.take(1)[0]) == times[-1]
        assert [time_of(message) for message in reader.take(4)] == times[3:]
    assert one.log().count("no message") == 1, one.log()
