"""Slow and idle readers cost other users nothing."""

import asyncio
import time

import grpc
import pytest

from support import usage
from support.api import PATIENCE, connected, pb, reading, stub, time_of
from support.room import unique

pytestmark = pytest.mark.history


def test_stalled_readers_delay_nobody(channel, server_address):
    """20 MB pass ten streams that are never read. Senders are quick, and other readers get everything."""
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
    """A server with 1,000 open streams uses no more processor time than one without; then each gets its message."""
    busy, idle = launch.server().wait_ready(), launch.server().wait_ready()
    connections, each = 10, 100
    # A thousand timers that fire once a second cost 4 ms or more.
    allowed = 0.002

    async def extra_seconds() -> float:
        """What the streams cost in one second. Both servers have timers of their own, and share the machine's load."""
        before = usage.thread_seconds(busy.pid) - usage.thread_seconds(idle.pid)
        await asyncio.sleep(1)  # the measurement itself, not a wait for something
        return usage.thread_seconds(busy.pid) - usage.thread_seconds(idle.pid) - before

    async def run() -> None:
        channels = [
            grpc.aio.insecure_channel(busy.address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(connections)
        ]
        calls = [stub(channel).ReadMessages(pb.ReadMessagesRequest()) for channel in channels for _ in range(each)]
        opened = await asyncio.wait_for(asyncio.gather(*(call.initial_metadata() for call in calls)), PATIENCE)
        assert all("messenger-position" in dict(metadata) for metadata in opened)

        # The first seconds may contain what opening the streams has left to do.
        extra = []
        while not extra or extra[-1] > allowed:
            assert len(extra) < 15, f"seconds of processor time in each second: {extra}"
            extra.append(await extra_seconds())

        await stub(channels[0]).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
        messages = await asyncio.wait_for(asyncio.gather(*(call.read() for call in calls)), PATIENCE)
        assert {message.text for message in messages} == {"hey"}
        for channel in channels:
            await channel.close()

    asyncio.run(run())
    busy.stop()
