"""Ten thousand readers of one server."""

import hashlib
import time
from contextlib import ExitStack, closing

import pytest

from support.api import connected, pb, reading, stub
from support.http2 import Answering, Connection
from support.raw import grpc_message
from support.waiting import wait_until

pytestmark = pytest.mark.fault

CONNECTIONS, STREAMS = 100, 100
COUNT = CONNECTIONS * STREAMS


def open_all(server, ending: ExitStack) -> Answering:
    connections = [ending.enter_context(closing(Connection(server.port))) for _ in range(CONNECTIONS)]
    answering = Answering(connections)
    ending.callback(answering.stop)
    for connection in connections:
        for _ in range(STREAMS):
            connection.read_messages()
    wait_until(lambda: len(answering.streams) == COUNT, "all streams are open", within=60)
    return answering


def test_ten_thousand_streams(launch, figure):
    """Each gets each message once and in order; they leave nothing; and a server with as many stops in time."""
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
