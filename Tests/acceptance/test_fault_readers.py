"""Stalled readers cost other readers nothing and the server a bounded amount of memory. 10,000 streams work."""

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from statistics import mean, median

import pytest

from support.api import connected, pb, reading, stub, time_of
from support.http2 import Answering, Connection
from support.raw import grpc_message
from support.room import assert_increasing
from support.waiting import wait_until

pytestmark = pytest.mark.fault

STREAMS, STALLED = 1_000, 100

ROUNDS = 6


@dataclass
class Measured:
    #: Messages a second.
    rate: float
    #: The median time of a send, in seconds.
    send: float
    #: What the server's processors took for each message, in seconds.
    cpu: float


def stall(port: int) -> list[Connection]:
    """Open streams that are never read: half of them give no window, half leave everything in the socket."""
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
        return Measured(count / took, median(latencies), (self.server.cpu_seconds() - used) / count)

    def close(self) -> None:
        self.reading.stop()
        for connection in self.connections:
            connection.close()


@pytest.mark.alone
@pytest.mark.history
def test_a_hundred_stalled_streams_among_a_thousand(launch, figure):
    """They do not slow down senders or the other 900, and cost the server no processor time.

    Two servers do the same at the same time and take turns in having the stalled streams, so load on the machine hits
    both.
    """
    servers = [launch.server().wait_ready() for _ in range(2)]
    rooms = [Room(server) for server in servers]
    alone, beside = [], []
    with ThreadPoolExecutor(len(rooms)) as threads:

        def both_send(count: int, size: int) -> list[Measured]:
            return list(threads.map(lambda room: room.send(count, size), rooms))

        both_send(20, 1_000)  # the first ones pay for what is set up once
        for index in range(ROUNDS):
            afflicted = index % 2
            stalled = stall(servers[afflicted].port)
            # 10 MB for each connection: more than sockets take.
            rooms[afflicted].send(10, 20_000)
            measured = both_send(100, 1_000)
            beside.append(measured[afflicted])
            alone.append(measured[1 - afflicted])
            for connection in stalled:
                connection.close()
    for room in rooms:
        room.close()
    for name, measured in ("without", alone), ("with", beside):
        figure(
            f"900 streams read, {name} 100 stalled ones: messages a second, a send, the server's CPU a message",
            f"{mean(m.rate for m in measured):.0f}/s, {mean(m.send for m in measured) * 1e3:.1f} ms, "
            f"{mean(m.cpu for m in measured) * 1e3:.2f} ms",
        )
    assert mean(m.cpu for m in beside) < 1.25 * mean(m.cpu for m in alone)
    assert mean(m.rate for m in beside) > 0.75 * mean(m.rate for m in alone)
    assert mean(m.send for m in beside) < 1.4 * mean(m.send for m in alone)


@pytest.mark.history
def test_stalled_streams_take_bounded_memory(launch, figure):
    """60 MB pass 100 stalled streams, the history holds 4 MiB: the server does not keep the rest."""
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


CONNECTIONS, STREAMS_EACH = 100, 100
COUNT = CONNECTIONS * STREAMS_EACH


def open_all(server, ending: ExitStack) -> Answering:
    connections = [ending.enter_context(closing(Connection(server.port))) for _ in range(CONNECTIONS)]
    answering = Answering(connections)
    ending.callback(answering.stop)
    for connection in connections:
        for _ in range(STREAMS_EACH):
            connection.read_messages()
    wait_until(lambda: len(answering.streams) == COUNT, "all streams are open", within=60)
    return answering


@pytest.mark.alone
def test_ten_thousand_streams(launch, figure):
    """Each gets every message once and in order, nothing leaks, and the server stops in time."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        before, memory = server.file_descriptors(), server.resident_bytes()
        with ExitStack() as ending:
            answering = open_all(server, ending)
            each = (server.resident_bytes() - memory) / COUNT
            figure("10,000 streams, 100 on a connection: memory for each", f"{each / 1024:.1f} KiB")
            began = time.monotonic()
            for text in "one", "two", "three":
                stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text))
            messages = reader.take(3)
            assert [message.text for message in messages] == ["one", "two", "three"]
            sent = b"".join(grpc_message(message.SerializeToString()) for message in messages)
            streams = answering.streams.values()
            wait_until(lambda: all(stream.bytes >= len(sent) for stream in streams), "all streams have all", within=60)
            figure("10,000 streams, 3 messages: all have all", f"{time.monotonic() - began:.2f} s")
            assert {stream.digest.digest() for stream in streams} == {hashlib.md5(sent).digest()}
        wait_until(lambda: server.file_descriptors() <= before, "their connections are gone")
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="four"))
        assert reader.take(1)[0].text == "four"
    assert each < 20 * 1024
    with ExitStack() as ending:
        open_all(server, ending)
        figure("a server with 10,000 streams stops", f"{server.stop(within=10):.2f} s")
    assert f"openCalls={COUNT}" in server.log()
