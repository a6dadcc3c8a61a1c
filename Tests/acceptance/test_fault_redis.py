"""Several servers share one room in Redis: one order for all, and every failure is either bridged or told."""

import shutil
import time
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.history import Outcome, assert_clean
from support.names import SilentNameServer
from support.processes import free_port, one_line
from support.redis import Redis
from support.room import assert_increasing, collect, nanoseconds
from support.waiting import wait_until

pytestmark = pytest.mark.fault

KILLS = 50


@pytest.fixture
def redis(ours):
    """Keeps on disk whatever it has acknowledged."""
    redis = Redis(free_port(), "--appendonly", "yes", "--appendfsync", "always")
    yield redis
    redis.close()


@pytest.fixture
def shared(launch, redis):
    """Starts servers of one room."""
    return lambda **settings: launch.server(**{"MESSENGER_HISTORY": redis.location(), **settings}).wait_ready()


def send(address: str, *texts: str) -> list[int]:
    with connected(address) as channel:
        return [time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=t))) for t in texts]


def send_fails(address: str) -> grpc.RpcError:
    with connected(address) as channel:
        request = pb.SendMessageRequest(author="Ivan", text="lost")
        return failure(grpc.StatusCode.UNAVAILABLE, stub(channel).SendMessage, request, timeout=20)


def accepted(address: str) -> bool:
    with connected(address) as channel:
        try:
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="there again"), timeout=10)
            return True
        except grpc.RpcError:
            return False


def test_two_servers_are_one_room(shared):
    """What is sent to one is read from both, in one order; a reader resumes at the other by the same time."""
    one, two = shared(), shared()
    with connected(two.address) as channel, reading(channel) as reader:
        times = send(one.address, "", "naïve 🙂", "a\0b") + send(two.address, "x" * 60_000)
        messages = reader.take(4)
    assert [time_of(message) for message in messages] == times
    assert [message.text for message in messages] == ["", "naïve 🙂", "a\0b", "x" * 60_000]
    assert_increasing(times)
    with connected(one.address) as channel, reading(channel, after=times[1]) as reader:
        assert [time_of(message) for message in reader.take(2)] == times[2:]


def test_a_reader_behind_memory_reads_on_from_redis(shared):
    """A server that holds three messages in memory gives a late reader all hundred, and then the next ones."""
    server = shared(MESSENGER_HISTORY_MESSAGES=3)
    times = send(server.address, *map(str, range(100)))
    with connected(server.address) as channel, reading(channel, after=times[0] - 1) as reader:
        times += send(server.address, "next")
        assert [time_of(message) for message in reader.take(101)] == times


@pytest.mark.timeout(600)
def test_servers_killed_fifty_times(launch, traffic, redis, figure):
    """kill -9 under load, of one server or the other: acknowledged is delivered, exactly once, to readers of both."""
    setting = {"MESSENGER_HISTORY": redis.location(), "MESSENGER_HISTORY_MESSAGES": 100}
    servers = [launch.server(**setting).wait_ready() for _ in range(2)]
    steady = launch.server(**setting).wait_ready()
    room = traffic(steady.address)
    room.read()
    for server in servers:
        room.read(server.address)
        room.send(server.address, pace=0)
        room.send_by(room.follow(launch.client(server.address).wait_ready()), pace=0)
    for number in range(KILLS):
        room.run(40)
        servers[number % 2].kill()
        servers[number % 2] = launch.server(port=servers[number % 2].port, **setting).wait_ready()
    room.until_normal()
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings)


def test_one_of_two_servers_freezes(launch, traffic, redis):
    """The other's users notice nothing; thawed, it catches up."""
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
    """With its append-only file it has all it acknowledged: sends fail meanwhile, streams stay open, nothing is lost."""
    servers = [launch.server(MESSENGER_HISTORY=redis.location()).wait_ready() for _ in range(2)]
    room = traffic(servers[0].address)
    readers = [room.read(server.address) for server in servers]
    for server in servers:
        room.send(server.address)
    for _ in range(3):
        room.run(200)
        redis.kill()
        assert "cannot be reached" in send_fails(servers[0].address).details()
        redis.start()
        figure("Redis killed and restarted: everybody sends and gets again", f"{room.until_normal():.2f} s")
    history = room.finish()
    assert_clean(history)
    assert all(reader.ends == 1 for reader in readers), "a stream has ended before the test"


def test_redis_is_restarted_while_nobody_sends(shared, redis):
    """The next message is accepted at once, and a reader behind memory gets all: ended connections are not used again."""
    server = shared(MESSENGER_HISTORY_MESSAGES=1)

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
    """Sends wait or fail in bounded time; when it goes on, so does everybody."""
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
def test_old_messages_go_while_all_send(launch, traffic, redis, keep):
    """Whoever follows misses nothing of what Redis lets go of, also behind a memory of 50 messages; who comes back from
    before it is told, and who comes back from after it is not."""
    setting = {f"MESSENGER_HISTORY_KEEP_{name}": value for name, value in keep.items()}
    setting |= {"MESSENGER_HISTORY": redis.location(), "MESSENGER_HISTORY_MESSAGES": 50}
    one, two = (launch.server(**setting).wait_ready() for _ in range(2))
    first = send(one.address, "first")[0]
    room = traffic(one.address)
    for server in one, two:
        room.read(server.address)
        room.send(server.address)
    room.send_by(room.follow(launch.client(two.address).wait_ready()))
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


def test_an_idle_room_with_an_age(shared, redis):
    """All goes in the end, also the last message; who had it comes back without a gap, and who had not is told."""
    setting = {"MESSENGER_HISTORY_KEEP_AGE": "1s", "MESSENGER_HISTORY_MESSAGES": 1}
    server = shared(**setting)
    times = send(server.address, *map(str, range(5)))
    wait_until(lambda: redis.ask("XLEN", "room") == ":0", "all have gone")
    for server in server, shared(**setting):
        with connected(server.address) as channel:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))
            with reading(channel, after=times[-1]) as reader:
                more = send(server.address, "next")
                assert [time_of(message) for message in reader.take(1)] == more
                times += more
    assert_increasing(times)


def test_redis_fails_over(launch, redis, link):
    """The primary becomes a replica, and refuses what is added to it, and the replica takes its place: the server finds
    it by itself. What the replica had is all that there was, so no reader is told anything."""
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
            send_fails(server.address)
            wait_until(lambda: accepted(server.address), "sends are accepted again")
            times += send(server.address, "3")
            messages = reader.take(4)
        assert [message.text for message in messages] == ["1", "2", "there again", "3"]
        assert [time_of(message) for message in messages if message.text != "there again"] == times
        assert "lost" not in server.log()
    finally:
        replica.close()


def test_a_client_goes_on_at_another_server(launch, shared, link):
    """Its server is killed, and the balancer leads it to another one of the room: its buffer has every message once."""
    one, two = shared(), shared()
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


def test_a_client_tells_what_is_the_matter(launch, shared, redis):
    """Redis away, and Redis out of memory: statuses and sentences that are true, not that the server is away or busy."""
    client = launch.client(shared().address).wait_ready()

    def answer() -> tuple[int, str]:
        response = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "x" * 1000})
        return response.status, response.json()["error"]

    redis.ask("CONFIG", "SET", "maxmemory", "1")
    assert answer() == (507, "The history's memory is full; the message was not accepted.")
    redis.kill()
    assert answer() == (503, "The history cannot be reached now.")


def test_a_server_stops_while_redis_hangs(shared, redis):
    """Frozen, not ended: who waits for it is told, and the server ends in its grace, with one line more than usual."""
    server = shared()
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
def test_a_reader_behind_memory_waits_for_redis(shared, redis, end, back):
    """Its stream stays open while Redis is away, and goes on when it is back."""
    server = shared(MESSENGER_HISTORY_MESSAGES=1)
    times = send(server.address, "1", "2", "3")
    with connected(server.address) as channel:
        getattr(redis, end)()
        with reading(channel, after=times[0] - 1) as reader:
            wait_until(lambda: "Redis is away" in server.log(), "the server has noticed")
            getattr(redis, back)()
            assert [time_of(message) for message in reader.take(3)] == times


def test_redis_is_emptied(shared, redis):
    """FLUSHALL: every open stream ends with OUT_OF_RANGE, at both servers; who comes back with an old time is told too."""
    one, two = shared(), shared()
    times = send(one.address, "1", "2", "3")
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
            assert time_of(reader.take(1)[0]) == times[0]


HOUR = 3_600 * 10**9


def test_redis_is_emptied_and_its_clock_is_behind(shared, redis):
    """As after a failover to an empty Redis whose clock is an hour behind: messages go on, with times that are later
    than all before, and every reader gets them."""
    one, two = shared(), shared()
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


def test_redis_is_emptied_twice(shared, redis):
    """Also while nothing has been sent since: who comes back with a time of before is told, then too."""
    server = shared()
    times = send(server.address, "1", "2")
    for _ in range(3):
        with connected(server.address) as channel, reading(channel) as reader:
            redis.ask("FLUSHALL")
            wait_until(lambda: redis.ask("EXISTS", "room:begun") == ":1", "the server has noticed")
            assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(times[0])), timeout=20)
            failure(grpc.StatusCode.OUT_OF_RANGE, lambda call=call: next(call))


def test_redis_is_emptied_before_the_first_message(shared, redis):
    """A room in which nothing was sent yet begins anew, and its beginning is no earlier than before."""
    server = shared()
    with connected(server.address) as channel, reading(channel) as reader:
        redis.ask("FLUSHALL")
        assert reader.status() == grpc.StatusCode.OUT_OF_RANGE
        began = time.time_ns()
        call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=timestamp(began - HOUR)), timeout=20)
        failure(grpc.StatusCode.OUT_OF_RANGE, lambda: next(call))
        with reading(channel) as again:
            times = send(server.address, "first")
            assert time_of(again.take(1)[0]) == times[0]


def test_redis_comes_back_without_its_tail(launch, shared, redis):
    """As after a failover to a replica that lagged: what was acknowledged and lost is told to every reader."""
    server = shared()
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


FOREIGN = [
    # The millionth message of a millisecond, for which there is no time.
    ("1000000", ("a", "Ivan", "t", "too many")),
    ("5", ("cat", "Tom")),
    ("5", ("a", "Ivan", "t", "one", "more", "field")),
]


@pytest.mark.parametrize("number, fields", FOREIGN, ids=["late", "foreign", "long"])
def test_an_entry_that_is_no_message_is_passed_over(shared, redis, number, fields):
    """Somebody else's, or one for which there is no time: followers, readers behind memory and new servers go on, and a
    server that meets some warns once."""
    one, two = shared(), shared(MESSENGER_HISTORY_MESSAGES=1)

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
        three = shared()
        for server in two, three:
            with connected(server.address) as other, reading(other, after=times[0] - 1) as late:
                assert [time_of(message) for message in late.take(len(times))] == times
                times += send(one.address, "next")
                assert time_of(late.take(1)[0]) == times[-1]
        assert [time_of(message) for message in reader.take(4)] == times[3:]
    assert one.log().count("no message") == 1, one.log()


def test_a_server_does_not_start_without_redis(launch):
    """One line that names the address, without the password."""
    setting = f"redis://user:secret@127.0.0.1:{free_port()}/room"
    line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=setting), 69)
    assert "127.0.0.1" in line and "secret" not in line


def replace(target: Path, source: Path) -> None:
    """Makes a folder a copy of another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


def test_no_name_server_answers(shared, redis, figure):
    """Connections that are made anew go to where Redis was last; the server stops in time."""
    with closing(SilentNameServer(redis="127.0.0.1")) as names:
        server = shared(MESSENGER_HISTORY=redis.location(host="redis"), runner=names.command)
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
    """It ends with one line, and not only after the minute that a system takes to give up."""
    with closing(SilentNameServer()) as names:
        server = launch.server(MESSENGER_HISTORY=redis.location(host="redis"), runner=names.command)
        assert "no name server has told the address of redis" in one_line(server, 69)
