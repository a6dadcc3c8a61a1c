"""The metrics say how far the slowest reader is behind."""

import time

import pytest

from support.api import Reader, connected, pb, stub
from support.http import HTTPClient
from support.http2 import Connection
from support.metrics import scrape
from support.processes import free_port
from support.waiting import wait_until


@pytest.mark.history
def test_a_reader_that_reads_nothing(launch):
    port = free_port()
    server, http = launch.server(MESSENGER_METRICS_PORT=port).wait_ready(), HTTPClient(f"localhost:{port}")

    def lag() -> tuple[float, float]:
        metrics = scrape(http)
        return metrics("messenger_slowest_reader_lag_messages"), metrics("messenger_slowest_reader_lag_seconds")

    with connected(server.address) as channel:
        reader = Reader(channel)
        stalled = Connection(server.port, window=0)
        stalled.read_messages()
        wait_until(lambda: scrape(http)("messenger_readers") == 2, "both streams are open")
        assert lag() == (0, 0)
        began = time.monotonic()
        for index in range(100):
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=str(index)), timeout=20)
        reader.take(100)
        # A stream takes a few messages before it notices that its connection takes none.
        wait_until(lambda: 90 <= lag()[0] <= 100, "the stalled reader is behind")
        first = lag()[1]
        assert 0 < first < time.monotonic() - began
        wait_until(lambda: lag()[1] > first, "it falls further behind")
        stalled.close()
        wait_until(lambda: lag() == (0, 0), "it has left, and the other has everything")
