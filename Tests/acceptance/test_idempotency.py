"""A message that is sent again under the same key is in the room once."""

import threading

import grpc
import pytest

from support.api import connected, failure, pb, reading, stub, time_of, timestamp
from support.fakeserver import fake_server, until_cancelled
from support.metrics import scrape
from support.processes import free_port
from support.redis import Redis
from support.room import collect, unique
from support.waiting import wait_until

pytestmark = pytest.mark.history


def send(channel, text: str, key: str, author: str = "Ivan") -> int:
    request = pb.SendMessageRequest(author=author, text=text, idempotencyKey=key)
    return time_of(stub(channel).SendMessage(request, timeout=30))


def test_the_second_send_adds_nothing(channel):
    """It has the first one's time, also after other messages."""
    key = unique("key")
    with reading(channel) as reader:
        first = send(channel, "hey", key)
        assert send(channel, "hey", key) == first
        other = send(channel, "other", unique("key"))
        assert send(channel, "hey", key) == first
        assert [time_of(message) for message in reader.take(2)] == [first, other]
        last = send(channel, "last", "")
        assert time_of(reader.take(1)[0]) == last


def test_sends_without_a_key_are_different_messages(channel):
    assert send(channel, "hey", "") < send(channel, "hey", "")


@pytest.mark.parametrize(("author", "text"), [("Ivan", "hey!"), ("Petr", "hey"), ("Ivanh", "ey"), ("Ivan", "")])
def test_another_message_under_the_same_key_is_refused(channel, author, text):
    """Then the first one can still be sent again."""
    key = unique("key")
    first = send(channel, "hey", key)
    request = pb.SendMessageRequest(author=author, text=text, idempotencyKey=key)
    error = failure(grpc.StatusCode.ALREADY_EXISTS, stub(channel).SendMessage, request, timeout=30)
    assert "idempotencyKey" in error.details()
    assert send(channel, "hey", key) == first


def test_a_refused_message_does_not_take_its_key(channel):
    """A text that is too long is refused. Under its key another text is accepted."""
    key = unique("key")
    request = pb.SendMessageRequest(author="Ivan", text="x" * (64 * 1024 + 1), idempotencyKey=key)
    failure(grpc.StatusCode.INVALID_ARGUMENT, stub(channel).SendMessage, request, timeout=30)
    send(channel, "hey", key)


@pytest.mark.parametrize("key", ["x" * 65, "a\n", "a\x00", "a\x7f", "ключ"])
def test_an_invalid_key_is_refused(channel, key):
    """At most 64 characters of printable ASCII."""
    request = pb.SendMessageRequest(author="Ivan", text="hey", idempotencyKey=key)
    error = failure(grpc.StatusCode.INVALID_ARGUMENT, stub(channel).SendMessage, request, timeout=30)
    assert "idempotencyKey" in error.details()


@pytest.mark.parametrize("prefix", ["", " ", "~" * 51, "a b", "'; --", "%s\\"])
def test_any_printable_key_is_accepted(channel, prefix):
    """Up to 64 characters."""
    key = prefix + unique("")
    assert send(channel, "hey", key) == send(channel, "hey", key)


def test_sends_of_one_key_at_the_same_moment(channel, server_address):
    """A hundred sends on ten connections: one message, and all get its time."""
    key, author = unique("key"), unique("author")
    times, barrier = [], threading.Barrier(10)

    def send_ten() -> None:
        with connected(server_address) as own:
            request = pb.SendMessageRequest(author=author, text="hey", idempotencyKey=key)
            barrier.wait(30)
            calls = [stub(own).SendMessage.future(request, timeout=30) for _ in range(10)]
            times.extend(time_of(call.result()) for call in calls)

    with reading(channel) as reader:
        threads = [threading.Thread(target=send_ten) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(times) == 100 and len(set(times)) == 1
        end = send(channel, "end", "")
        received = [time_of(message) for message in reader.take(2)]
        assert received == [times[0], end]


def post(client, text: str, key: str):
    return client.http.request(
        "POST", "/sendMessage", {"author": "Ivan", "text": text}, headers={"Idempotency-Key": key}
    )


def test_the_key_over_http(launch):
    """The second time adds nothing. Another message under the key gets 409."""
    client = launch.client(launch.server().wait_ready().address).wait_ready()
    first = post(client, "hey", "key")
    assert (first.status, first.json()["error"]) == (200, None)
    assert post(client, "hey", "key").json() == first.json()
    other = post(client, "other", "key")
    assert (other.status, other.json()["sendTime"]) == (409, None) and "Idempotency-Key" in other.json()["error"]
    assert [message["text"] for message in client.http.flush()] == ["hey"]


def test_a_server_that_ends_in_the_middle_of_a_send(launch, lasting_history):
    """The client sends the message again, so nobody gets an error. It is in the room once."""
    setting = {"MESSENGER_HISTORY": lasting_history}
    server = launch.server(**setting).wait_ready()
    client = launch.client(server.address).wait_ready()
    statuses: list[int] = []

    def send_all() -> None:
        for number in range(300):
            statuses.append(client.http.request("POST", "/sendMessage", {"author": "a", "text": str(number)}).status)

    thread = threading.Thread(target=send_all)
    thread.start()
    for kills in range(1, 6):
        wait_until(lambda kills=kills: len(statuses) >= kills * 40, "more sends")
        server.kill()
        server = launch.server(port=server.port, **setting).wait_ready()
    thread.join()
    assert statuses == [200] * 300
    assert [message["text"] for message in collect(client.http, 300)] == [str(number) for number in range(300)]


POSITION = ("messenger-position", "2026-01-01T00:00:00.000000000Z")


def test_the_client_repeats_a_send_under_its_key(launch):
    """The server cannot be reached twice. The third attempt has the same key, and its answer counts."""

    def read(request, context):
        context.send_initial_metadata((POSITION,))
        until_cancelled(context)
        yield from ()

    def answer(request, context):
        if len(server.sends) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pb.SendMessageResponse(sendTime=timestamp(10**18))

    with fake_server(read, answer) as server:
        client = launch.client(server.address).wait_ready()
        assert client.http.send("Ivan", "hey") == "2001-09-09T01:46:40.000000000Z"
        keys = [request.idempotencyKey for request in server.sends]
        assert len(keys) == 3 and len(set(keys)) == 1 and len(keys[0]) == 32
        assert scrape(client.http)("messenger_sends_retried_total") == 2
        client.http.send("Ivan", "hey")
        assert server.sends[-1].idempotencyKey != keys[0]
        assert scrape(client.http)("messenger_sends_retried_total") == 2, "no first attempt counts"


def test_a_server_that_has_lost_its_history_is_not_asked_again(launch):
    """It has lost its keys too: the message would be in the room twice. The stream's gap shows it."""
    lost = threading.Event()

    def read(request, context):
        if lost.is_set() and request.after.seconds < 2 * 10**9:
            context.set_trailing_metadata((("messenger-held-after", "2033-05-18T03:33:20.000000000Z"),))
            context.abort(grpc.StatusCode.OUT_OF_RANGE, "gone")
        context.send_initial_metadata((POSITION,))
        while not lost.wait(0.01) or request.after.seconds >= 2 * 10**9:
            if not context.is_active():
                return
        context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        yield

    def answer(request, context):
        lost.set()
        context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")

    with fake_server(read, answer) as server:
        client = launch.client(server.address).wait_ready()
        assert client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"}).status == 503
        assert len(server.sends) == 1
        assert client.http.request("GET", "/readyz").json()["gaps"] == 1


def test_a_server_that_may_not_know_keys_is_not_asked_again(launch):
    """It sends no positions, so it is not one of ours."""

    def read(request, context):
        until_cancelled(context)
        yield from ()

    def answer(request, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    with fake_server(read, answer) as server:
        client = launch.client(server.address).wait_ready()
        assert client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"}).status == 503
        assert len(server.sends) == 1


def test_a_key_is_forgotten_after_its_age(launch):
    """Then another message may have it."""
    server = launch.server(MESSENGER_IDEMPOTENCY_AGE="1s").wait_ready()
    with connected(server.address) as channel:
        first = send(channel, "hey", "key")
        wait_until(lambda: accepts(channel, "other", "key"), "the key is free")
        assert send(channel, "other", "key") > first


def accepts(channel, text: str, key: str) -> bool:
    try:
        send(channel, text, key)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.ALREADY_EXISTS
        return False
    return True


def test_only_the_newest_keys_are_remembered(launch):
    """The server remembers three, and forgets the oldest first."""
    server = launch.server(MESSENGER_IDEMPOTENCY_KEYS=3).wait_ready()
    with connected(server.address) as channel:
        times = [send(channel, "hey", str(number)) for number in range(5)]
        assert [send(channel, "hey", str(number)) for number in (2, 3, 4)] == times[2:]
        assert send(channel, "hey", "0") > times[4]


@pytest.fixture(params=["sqlite", "redis"])
def lasting_history(request, tmp_path, own_programs):
    """The location of a history that outlives its server."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'room.db'}"
    else:
        redis = Redis(free_port(), "--appendonly", "yes", "--appendfsync", "always")
        yield redis.location()
        redis.close()


def test_keys_survive_a_kill(launch, lasting_history):
    """A sender that did not get its answer sends again after the restart."""
    server = launch.server(MESSENGER_HISTORY=lasting_history).wait_ready()
    with connected(server.address) as channel:
        first = send(channel, "hey", "key")
    server.kill()
    server = launch.server(MESSENGER_HISTORY=lasting_history).wait_ready()
    with connected(server.address) as channel:
        assert send(channel, "hey", "key") == first
        request = pb.SendMessageRequest(author="Ivan", text="other", idempotencyKey="key")
        failure(grpc.StatusCode.ALREADY_EXISTS, stub(channel).SendMessage, request, timeout=30)


def test_servers_of_one_room_share_keys(launch, own_programs):
    """A sender that loses its server sends again at the other one."""
    redis = Redis(free_port())
    one, two = (launch.server(MESSENGER_HISTORY=redis.location()).wait_ready() for _ in range(2))
    with connected(one.address) as first, connected(two.address) as second:
        assert send(first, "hey", "key") == send(second, "hey", "key")
    redis.close()
