"""Readers that take nothing cost the others nothing, and the server a bounded amount of memory: invariant 5."""

import statistics
import time
from dataclasses import dataclass

import pytest

from support.api import connected, pb, reading, stub, time_of
from support.http2 import Answering, Connection
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = pytest.mark.fault

STREAMS, STALLED = 1_000, 100

ROUNDS = 5


@dataclass
class Measured:
    #: Messages a second.
    rate: float
    #: The median time of a send, in seconds.
    send: float
    #: What the server's processors took for each message, in seconds.
    cpu: float


def stall(port: int) -> list[Connection]:
    """Streams that are open and take nothing: half of them give no window, half leave all in the socket."""
    without_window = Connection(port, window=0)
    unread = Connection(port, receive_buffer=4096)
    for _ in range(STALLED // 2):
        without_window.read_messages()
        unread.read_messages(boundless=True)
    return [without_window, unread]


class Room:
    """A thousand streams that are read, one of them by grpcio, and a sender that measures."""

    def __init__(self, server):
        self.server = server
        self.connections = [Connection(server.port) for _ in range(9)]
        self.reading = Answering(self.connections)
        for index in range(STREAMS - STALLED):
            self.connections[index % len(self.connections)].read_messages(boundless=True)
        wait_until(lambda: len(self.reading.streams) == STREAMS - STALLED, "the streams are open")

    def send(self, count: int, size: int) -> Measured:
        """Sends, and waits until all streams that are read have everything."""
        latencies = []
        used = self.server.cpu_seconds()
        before = {stream.bytes for stream in self.reading.streams.values()}
        assert len(before) == 1
        began = time.monotonic()
        with connected(self.server.address) as channel, reading(channel) as reader:
            send = stub(channel).SendMessage
            times = []
            for index in range(count):
                request = pb.SendMessageRequest(author="Ivan", text=str(index).ljust(size))
                sent = time.monotonic()
                times.append(time_of(send(request)))
                latencies.append(time.monotonic() - sent)
            got = reader.take(count)
        assert [time_of(message) for message in got] == times
        assert_increasing(times)
        total = before.pop() + sum(5 + message.ByteSize() for message in got)
        wait_until(lambda: all(s.bytes == total for s in self.reading.streams.values()), "all streams have all")
        assert len({stream.digest.digest() for stream in self.reading.streams.values()}) == 1, (
            "streams got different bytes"
        )
        took = time.monotonic() - began
        return Measured(count / took, statistics.median(latencies), (self.server.cpu_seconds() - used) / count)

    def close(self) -> None:
        self.reading.stop()
        for connection in self.connections:
            connection.close()


def test_a_hundred_stalled_streams_among_a_thousand(launch, figure):
    """Senders and the other 900 are as quick with them as without them, and the server has as little to do.

    Each round measures both, and what is compared is the best round of each: whatever else a machine has to do makes one
    worse, never better.
    """
    server = launch.server().wait_ready()
    room = Room(server)
    room.send(20, 1_000)  # the first ones pay for what is set up once
    rounds = []
    for _ in range(ROUNDS):
        alone = room.send(100, 1_000)
        stalled = stall(server.port)
        # 10 MB for each connection: more than sockets take.
        room.send(10, 20_000)
        rounds.append((alone, room.send(100, 1_000)))
        for connection in stalled:
            connection.close()
    room.close()
    for name, measured in ("without", [alone for alone, _ in rounds]), ("with", [beside for _, beside in rounds]):
        figure(
            f"900 streams read, {name} 100 stalled ones: messages a second, a send, the server's CPU a message",
            f"{statistics.median(m.rate for m in measured):.0f}/s, "
            f"{statistics.median(m.send for m in measured) * 1e3:.1f} ms, "
            f"{statistics.median(m.cpu for m in measured) * 1e3:.2f} ms",
        )
    alone, beside = zip(*rounds, strict=True)
    assert min(m.cpu for m in beside) < 1.25 * min(m.cpu for m in alone)
    assert max(m.rate for m in beside) > 0.75 * max(m.rate for m in alone)
    assert min(m.send for m in beside) < 1.4 * min(m.send for m in alone)


def test_stalled_streams_take_bounded_memory(launch, figure):
    """Past 100 stalled streams go 60 MB, of which the history holds 4 MiB: the server does not grow by the rest."""
    server = launch.server(MESSENGER_HISTORY_BYTES="4MiB").wait_ready()
    stalled = stall(server.port)
    with connected(server.address) as channel:
        send = stub(channel).SendMessage

        def pass_by(count: int) -> None:
            for index in range(count):
                send(pb.SendMessageRequest(author="Ivan", text=str(index).ljust(60_000)))

        pass_by(200)
        before = server.resident_bytes()
        pass_by(1_000)
        grown = server.resident_bytes() - before
    figure(
        "12 MB, then 60 MB past 100 stalled streams, history of 4 MiB: memory used",
        f"{before / 1e6:.0f} MB, {(before + grown) / 1e6:.0f} MB",
    )
    assert grown < 16 * 1024 * 1024
    assert before < 200 * 1024 * 1024
    for connection in stalled:
        connection.close()
