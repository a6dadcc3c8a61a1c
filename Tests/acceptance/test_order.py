"""All readers get the same order."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.api import pb, reading, stub, time_of
from support.room import assert_increasing, collect, nanoseconds, unique
from support.waiting import wait_until

pytestmark = pytest.mark.history


@pytest.mark.parametrize("each", [100, pytest.param(1_000, marks=pytest.mark.slow)])
def test_many_senders_one_order_exactly_once(room, each):
    """8 senders with so many messages each, through two clients: both get each message once, in the same order."""
    senders = 8
    names = [unique(f"sender{number}") for number in range(senders)]
    sent: dict[tuple[str, str], str] = {}

    def send_all(number: int) -> None:
        client = (room.client1, room.client2)[number % 2]
        with client.connection() as connection:
            for index in range(each):
                sent[names[number], str(index)] = connection.send(names[number], str(index))

    with ThreadPoolExecutor(senders + 2) as pool:
        sending = [pool.submit(send_all, number) for number in range(senders)]
        at1, at2 = (pool.submit(collect, client, senders * each, 120) for client in (room.client1, room.client2))
        for sender in sending:
            sender.result()
        received1, received2 = at1.result(), at2.result()

    assert received1 == received2
    assert_increasing([message["sendTime"] for message in received1])
    arrived = {(message["author"], message["text"]): message["sendTime"] for message in received1}
    assert len(arrived) == senders * each
    assert arrived == sent
    for name in names:
        texts = [int(message["text"]) for message in received1 if message["author"] == name]
        assert texts == list(range(each)), "a sender's own messages changed their order"


def test_a_burst_keeps_its_order(room, channel):
    """300 messages sent back to back arrive in this order, at a stream and at both clients."""
    author = unique("burst")
    server = stub(channel)
    with reading(channel) as reader:
        times = [
            time_of(server.SendMessage(pb.SendMessageRequest(author=author, text=str(index)))) for index in range(300)
        ]
        streamed = reader.take(300)
    assert_increasing(times)
    assert [(m.author, m.text, time_of(m)) for m in streamed] == [
        (author, str(index), time) for index, time in enumerate(times)
    ]
    for client in room.client1, room.client2:
        received = collect(client, 300)
        assert [(m["author"], m["text"], nanoseconds(m["sendTime"])) for m in received] == [
            (m.author, m.text, time_of(m)) for m in streamed
        ]


def test_the_senders_own_message_comes_back(room):
    """The sender's buffer has the message, with the time from the answer."""
    time = room.client2.send("Ivan", "do I hear myself?")
    assert collect(room.client2, 1) == [{"author": "Ivan", "text": "do I hear myself?", "sendTime": time}]


def test_concurrent_flushes_share_the_messages(room):
    """No two flushes return the same message, and together they return all, each in order."""
    count, flushers = 300, 4
    author = unique("flushed")
    finished = threading.Event()

    def received() -> int:
        return room.client1.request("GET", "/readyz").json()["received"]

    before = received()

    def flush_until_finished() -> list[list[dict]]:
        parts = []
        with room.client1.connection() as connection:
            while not finished.is_set():
                parts.append(connection.flush())
        return parts

    with ThreadPoolExecutor(flushers) as pool:
        flushing = [pool.submit(flush_until_finished) for _ in range(flushers)]
        try:
            with room.client2.connection() as connection:
                for index in range(count):
                    connection.send(author, str(index))
            wait_until(lambda: received() == before + count, "all have come to the client whose buffer is shared")
        finally:
            finished.set()
        parts = [part for flusher in flushing for part in flusher.result() if part]

    texts = [int(message["text"]) for part in parts for message in part]
    left = [int(message["text"]) for message in room.client1.flush()]
    assert sorted(texts + left) == list(range(count))
    for part in parts:
        assert_increasing([message["sendTime"] for message in part])
