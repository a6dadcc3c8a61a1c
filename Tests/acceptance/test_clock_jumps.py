"""A clock that jumps ahead for a while removes no messages of a history with an age limit. With Redis only Redis's
clock counts."""

import time

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.clock import Clock
from support.processes import free_port
from support.redis import Redis
from support.waiting import wait_until

DAY = 86_400
#: More than Redis keeps in one node of a stream: it removes whole nodes.
COUNT = 300


@pytest.fixture
def clock(tmp_path):
    clock = Clock(tmp_path)
    yield clock
    clock.close()


@pytest.fixture(params=["sqlite", "redis"])
def location(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'history.db'}"
        return
    redis = Redis(free_port())
    yield redis.location()
    redis.close()


def send(server, count: int) -> list[int]:
    with connected(server.address) as channel:
        calls = [
            stub(channel).SendMessage.future(pb.SendMessageRequest(author="a", text=str(index)), timeout=60)
            for index in range(count)
        ]
        return sorted(time_of(call.result()) for call in calls)


def held(server, times: list[int]) -> list[int]:
    with connected(server.address) as channel, reading(channel, times[0] - 1) as reader:
        return [time_of(message) for message in reader.take(len(times))]


def send_for_two_trims(server) -> list[int]:
    """Sends for 2.2 s. Once a second the server removes messages that are too old."""
    times, end = [], time.monotonic() + 2.2
    while time.monotonic() < end:
        times += send(server, 1)
        time.sleep(0.02)
    return times


@pytest.mark.slow
def test_a_clock_that_is_ahead_for_seconds(launch, clock, location):
    """A day ahead, during a run and over a restart: all messages stay, and times strictly increase."""
    settings = {**clock.settings, "MESSENGER_HISTORY": location, "MESSENGER_HISTORY_KEEP_AGE": "3600s"}
    server = launch.server(**settings).wait_ready()
    times = send(server, COUNT)
    clock.set_ahead(DAY)
    times += send_for_two_trims(server)
    assert held(server, times) == times
    server.stop()
    server = launch.server(port=server.port, **settings).wait_ready()
    times += send_for_two_trims(server)
    assert held(server, times) == times
    clock.set_ahead(0)
    times += send_for_two_trims(server)
    server.kill()
    server = launch.server(port=server.port, **settings).wait_ready()
    times += send_for_two_trims(server)
    assert held(server, times) == times
    assert all(one < next for one, next in zip(times, times[1:]))


def test_a_clock_that_was_set_ahead(launch, clock, tmp_path):
    """Messages expire once the clock has stayed ahead for the age limit."""
    settings = {**clock.settings, "MESSENGER_HISTORY_KEEP_AGE": "2s", "MESSENGER_HISTORY_MESSAGES": 1}
    server = launch.server(MESSENGER_HISTORY=f"sqlite:{tmp_path / 'history.db'}", **settings).wait_ready()
    times = send(server, 10)
    clock.set_ahead(DAY)

    def is_gone() -> bool:
        send(server, 1)
        with connected(server.address) as channel:
            request = pb.ReadMessagesRequest()
            request.after.FromNanoseconds(times[0] - 1)
            call = stub(channel).ReadMessages(request, timeout=20)
            try:
                next(call)
            except Exception as error:
                return "only messages after" in str(error)
            call.cancel()
            return False

    wait_until(is_gone, "the old messages are gone")


@pytest.mark.parametrize("years", [300, -2100])
def test_a_clock_that_is_centuries_off(launch, clock, tmp_path, years):
    """Such years do not fit into a time. Times still strictly increase, also over a restart."""
    settings = {**clock.settings, "MESSENGER_HISTORY": f"sqlite:{tmp_path / 'history.db'}"}
    server = launch.server(**settings).wait_ready()
    times = send(server, 3)
    for ahead in (years * 366 * DAY, 0):
        clock.set_ahead(ahead)
        times += send(server, 3)
        server.kill()
        server = launch.server(port=server.port, **settings).wait_ready()
        times += send(server, 3)
    assert held(server, times) == times == sorted(set(times))


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_a_server_whose_clock_is_not_that_of_redis(launch, clock, ahead):
    """Redis's clock decides how old a key is, and which positions lie in the future."""
    redis = Redis(free_port())
    settings = {**clock.settings, "MESSENGER_HISTORY": redis.location(), "MESSENGER_IDEMPOTENCY_AGE": "3s"}
    try:
        server = launch.server(**settings).wait_ready()
        clock.set_ahead(ahead)
        with connected(server.address) as channel:
            request = pb.SendMessageRequest(author="Ivan", text="hey", idempotencyKey="first")
            first = stub(channel).SendMessage(request, timeout=20)
            # A clock that was set ahead counts after the age of a key.
            time.sleep(3.5)
            request.idempotencyKey = "second"
            for _ in range(2):
                second = stub(channel).SendMessage(request, timeout=20)
                assert first != second == stub(channel).SendMessage(request, timeout=20)
            after = time.time_ns() + 10**9
            with reading(channel, after=after) as reader:
                wait_until(lambda: send(server, 1)[0] > after, "that time has come")
                assert time_of(reader.take(1)[0]) > after
            read = pb.ReadMessagesRequest(after=timestamp(time.time_ns() + 60 * 10**9))
            failure(grpc.StatusCode.INVALID_ARGUMENT, lambda: next(stub(channel).ReadMessages(read, timeout=20)))
    finally:
        redis.close()
