"""ReadMessages with `last`, `untilNow` and `limit`: streams that begin before now, and that end by themselves."""

import threading

import grpc
import pytest

from support.api import PATIENCE, connected, failure, pb, reading, stub, time_of, timestamp
from support.processes import free_port
from support.redis import Redis
from support.redis_room import send
from support.room import unique

pytestmark = pytest.mark.history


def read(channel, **request) -> list[int]:
    """The times of a stream that ends by itself, with OK."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(**request), timeout=PATIENCE)
    times = [time_of(message) for message in call]
    assert call.code() == grpc.StatusCode.OK
    return times


def send_some(channel, count: int) -> list[int]:
    author = unique("author")
    return [
        time_of(stub(channel).SendMessage(pb.SendMessageRequest(author=author, text=str(number)), timeout=30))
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_last_messages_until_now(channel, count):
    times = send_some(channel, 5)
    assert read(channel, last=count, untilNow=True) == times[-count:]


def test_the_last_messages_and_then_the_new_ones(channel):
    """As `tail -n 2 -f`. The position is the time of the message before."""
    times = send_some(channel, 3)
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(last=2), timeout=PATIENCE)
    position = dict(call.initial_metadata())["messenger-position"]
    received = [time_of(next(call)) for _ in range(2)]
    received += [time for new in send_some(channel, 2) for time in [time_of(next(call))] if time == new]
    assert received[:2] == times[1:] and len(received) == 4
    assert position.endswith("Z") and len(position) == 30
    call.cancel()


def test_after_a_time_until_now(channel):
    times = send_some(channel, 4)
    assert read(channel, after=timestamp(times[1]), untilNow=True) == times[2:]
    assert read(channel, after=timestamp(times[3]), untilNow=True) == []


def test_until_now_alone_is_empty(channel):
    """Without a beginning before now there is nothing."""
    send_some(channel, 1)
    assert read(channel, untilNow=True) == []


def test_a_limit(channel):
    """It counts old and new messages alike."""
    times = send_some(channel, 3)
    assert read(channel, after=timestamp(times[0] - 1), limit=2) == times[:2]
    assert read(channel, last=3, limit=1) == times[:1]
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(last=1, limit=2), timeout=PATIENCE)
    call.initial_metadata()
    new = send_some(channel, 2)
    assert [time_of(message) for message in call] == [times[2], new[0]]
    assert call.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("limit", [1, 2, 3, 2**32 - 1])
def test_whichever_comes_first(channel, limit):
    times = send_some(channel, 2)
    assert read(channel, last=2, untilNow=True, limit=limit) == times[:limit]


def test_last_and_after_are_refused_together(channel):
    request = pb.ReadMessagesRequest(last=1, after=timestamp(1))
    call = stub(channel).ReadMessages(request, timeout=PATIENCE)
    error = failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(call))
    assert "last" in error.details() and "after" in error.details()


def test_zeros_are_as_if_unset(channel):
    """The request is empty then, byte for byte."""
    request = pb.ReadMessagesRequest(last=0, untilNow=False, limit=0)
    assert request.SerializeToString() == b""
    with reading(channel) as reader:
        times = send_some(channel, 1)
        assert [time_of(message) for message in reader.take(1)] == times


@pytest.mark.parametrize("count", [5, 6, 100, 2**32 - 1])
def test_more_than_there_are(launch, count):
    """The stream has what there is."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel:
        before = read(channel, last=count, untilNow=True)
        times = send_some(channel, 5)
        assert read(channel, last=count, untilNow=True) == (before + times)[-count:]


def test_more_than_the_history_holds(launch):
    """In memory the oldest messages are gone. That is no error."""
    server = launch.server(MESSENGER_HISTORY="memory:", MESSENGER_HISTORY_MESSAGES=3).wait_ready()
    with connected(server.address) as channel:
        times = send_some(channel, 8)
        for count in 3, 4, 100:
            assert read(channel, last=count, untilNow=True) == times[-3:]


def test_streams_that_end_while_messages_are_sent(channel):
    """Each has every message that was accepted before its call, in order, once."""
    author, stopping = unique("author"), threading.Event()
    accepted: list[int] = []

    def send_on() -> None:
        while not stopping.is_set():
            answer = stub(channel).SendMessage(pb.SendMessageRequest(author=author), timeout=30)
            accepted.append(time_of(answer))

    thread = threading.Thread(target=send_on)
    first = send_some(channel, 1)[0]
    thread.start()
    try:
        for _ in range(20):
            known = list(accepted)
            times = read(channel, after=timestamp(first), untilNow=True)
            assert times[: len(known)] == known
            assert times == sorted(set(times))
    finally:
        stopping.set()
        thread.join()


@pytest.fixture(params=["sqlite", "redis"])
def lasting_history(request, tmp_path, own_programs):
    """The location of a history that outlives its server."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'room.db'}"
    else:
        redis = Redis(free_port())
        yield redis.location()
        redis.close()


@pytest.mark.parametrize("memory", [1, 10, 1000])
def test_messages_that_are_only_in_storage(launch, lasting_history, memory):
    """After a restart memory is empty, or holds fewer messages than are wanted."""
    settings = {"MESSENGER_HISTORY": lasting_history, "MESSENGER_HISTORY_MESSAGES": memory}
    server = launch.server(**settings).wait_ready()
    times = send(server.address, *map(str, range(200)))
    server.stop()
    server = launch.server(**settings).wait_ready()
    times += send(server.address, *map(str, range(5)))
    with connected(server.address) as channel:
        for count in 1, 3, 6, 64, 65, 66, 130, 204:
            assert read(channel, last=count, untilNow=True) == times[-count:], count
        for count in 205, 206, 1000:
            assert read(channel, last=count, untilNow=True) == times, count
        assert read(channel, last=100, limit=70) == times[-100:-30]
        assert read(channel, after=timestamp(times[10]), untilNow=True) == times[11:]


def test_until_now_has_what_another_server_accepted(launch, own_programs):
    """Also if it has not arrived at this server yet."""
    redis = Redis(free_port())
    one, two = (launch.server(MESSENGER_HISTORY=redis.location()).wait_ready() for _ in range(2))
    with connected(one.address) as first, connected(two.address) as second:
        beginning = send_some(first, 1)[0]
        sent: list[int] = []
        for _ in range(100):
            sent += send_some(first, 1)
            assert read(second, after=timestamp(beginning), untilNow=True) == sent
    redis.close()


def test_an_entry_that_is_no_message_at_the_end(launch, own_programs):
    """Somebody has written to the stream in Redis. `untilNow` ends all the same, and `last` counts messages only."""
    redis = Redis(free_port())
    server = launch.server(MESSENGER_HISTORY=redis.location()).wait_ready()
    with connected(server.address) as channel:
        times = send_some(channel, 3)
        for _ in range(70):
            redis.ask("XADD", "room", "*", "x", "y")
        assert read(channel, last=2, untilNow=True) == times[1:]
        assert read(channel, after=timestamp(times[0]), untilNow=True) == times[1:]
    redis.close()
