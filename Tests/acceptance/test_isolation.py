"""Readers don't cost one another, nor the senders: invariant 5, and an idle server's silence."""

import asyncio
import time

import grpc
import pytest

from support.api import PATIENCE, connected, pb, reading, stub, time_of
from support.room import unique

pytestmark = pytest.mark.history


def test_a_stalled_reader_holds_up_nobody(channel, server_address):
    """Ten streams that are never read, while 20 MB pass: senders are quick, and other readers get everything."""
    author, count = unique("stalled"), 320
    with connected(server_address) as stalled, reading(channel) as reader:
        calls = [stub(stalled).ReadMessages(pb.ReadMessagesRequest(), timeout=PATIENCE) for _ in range(10)]
        for call in calls:
            call.initial_metadata()
        slowest, times = 0.0, []
        for index in range(count):
            began = time.monotonic()
            request = pb.SendMessageRequest(author=author, text=str(index).ljust(64_000))
            times.append(time_of(stub(channel).SendMessage(request, timeout=PATIENCE)))
            slowest = max(slowest, time.monotonic() - began)
        assert [time_of(message) for message in reader.take(count)] == times
        assert slowest < 5, f"a sender waited for {slowest:.1f} s"
        for call in calls:
            call.cancel()


def test_a_thousand_idle_streams_cost_nothing(launch):
    """1,000 open streams on an idle server use no measurable processor time; afterwards each gets its message."""
    server = launch.server().wait_ready()
    connections, each, seconds = 10, 100, 3.0

    async def run() -> float:
        channels = [
            grpc.aio.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)])
            for _ in range(connections)
        ]
        calls = [stub(channel).ReadMessages(pb.ReadMessagesRequest()) for channel in channels for _ in range(each)]
        opened = await asyncio.wait_for(asyncio.gather(*(call.initial_metadata() for call in calls)), PATIENCE)
        assert all("messenger-position" in dict(metadata) for metadata in opened)

        before = server.cpu_seconds()
        await asyncio.sleep(seconds)  # the measurement itself, not a wait for something
        used = server.cpu_seconds() - before

        await stub(channels[0]).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
        messages = await asyncio.wait_for(asyncio.gather(*(call.read() for call in calls)), PATIENCE)
        assert {message.text for message in messages} == {"hey"}
        for channel in channels:
            await channel.close()
        return used

    used = asyncio.run(run())
    assert used <= 0.03, f"{used:.2f} s of processor time in {seconds:g} idle seconds"
    server.stop()
