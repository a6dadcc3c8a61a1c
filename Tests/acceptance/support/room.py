"""Times of messages, and what clients received."""

import itertools
import re
import time
import uuid
from datetime import UTC, datetime

from support.api import connected, pb, stub
from support.http import HTTPClient
from support.waiting import wait_until

#: RFC 3339 in UTC with nine fractional digits.
SEND_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")

Received = list[dict[str, str]]


def unique(name: str) -> str:
    """A name that no other test and no earlier run against this server has used."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def nanoseconds(send_time: str) -> int:
    """A sendTime of JSON, in nanoseconds since 1970."""
    assert SEND_TIME.fullmatch(send_time), send_time
    seconds = datetime.fromisoformat(send_time[:19]).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 10**9 + int(send_time[20:29])


def assert_increasing(send_times: list) -> None:
    """Each time is later than the one before it."""
    for earlier, later in itertools.pairwise(send_times):
        assert earlier < later, f"{later} came after {earlier}"


def collect(client: HTTPClient, count: int, within: float = 30) -> Received:
    """Flushes the client until it has returned exactly `count` messages."""
    received: Received = []
    deadline = time.monotonic() + within
    with client.connection() as connection:
        while len(received) < count:
            assert time.monotonic() < deadline, f"{len(received)} of {count} messages after {within:g} s"
            received += connection.flush()
            if len(received) < count:
                # Flushing without a pause would keep the client from receiving the rest.
                time.sleep(0.02)
    assert len(received) == count, f"{len(received)} messages instead of {count}: {received[count:][:3]} ..."
    return received


def drain(*clients: HTTPClient) -> None:
    """Empties the clients' buffers of everything that was accepted before the call."""
    author = unique("drain")
    clients[0].send(author, "")
    for client in clients:
        wait_until(lambda: any(m["author"] == author for m in client.flush()), f"the marker at {client.address}")


def send_numbered(address: str, count: int, text: str = "message") -> None:
    """Sends numbered messages to a server: many at a time, so that their order is the room's."""
    with connected(address) as channel:
        method = stub(channel).SendMessage
        for begin in range(0, count, 200):
            numbers = range(begin, min(begin + 200, count))
            calls = [method.future(pb.SendMessageRequest(author="Ivan", text=f"{text} {n}")) for n in numbers]
            for call in calls:
                call.result(timeout=60)


def held(client: HTTPClient, count: int = 10_000) -> list[str]:
    """The texts of the latest messages that the room holds."""
    return [message["text"] for message in client.request("GET", f"/messages?last={count}").json()]
