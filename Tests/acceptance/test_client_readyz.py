"""/readyz never says `open` or `paused` about a stream whose server is gone."""

import time

import pytest

from support.api import connected, pb, stub, timestamp
from support.fakeserver import FakeServer, until_cancelled
from support.room import collect
from support.waiting import wait_until

SMALL = {"MESSENGER_BUFFER_BYTES": "64KiB"}
TEXT = "x" * 1000


def ready(client) -> tuple[int, str, int]:
    """The status of /readyz, the stream's state and the number of gaps."""
    response = client.http.request("GET", "/readyz")
    return response.status, response.json()["stream"], response.json()["gaps"]


def fill(server, client, count: int = 1000) -> list[str]:
    """Sends more than the client's buffer and its window hold, and waits until the client stops reading."""
    texts = [f"{index} {TEXT}" for index in range(count)]
    with connected(server.address) as channel:
        for text in texts:
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=30)
    wait_until(lambda: ready(client)[1] == "paused", "the buffer is full")
    return texts


def is_prefix(received: list, texts: list[str]) -> bool:
    return [message["text"] for message in received] == texts[: len(received)]


@pytest.mark.usefixtures("memory_history")
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_server_that_is_replaced_while_the_buffer_is_full(launch, end):
    """A client with a full buffer notices that its server is gone, and connects to the next one.

    A killed server takes the unread messages with it. A stopped one ends the stream behind them: the client reads them
    first, beyond the bound of its buffer.
    """
    server = launch.server().wait_ready()
    client = launch.client(server.address, **SMALL).wait_ready()
    texts = fill(server, client)
    assert ready(client) == (200, "paused", 0)
    getattr(server, end)()
    wait_until(lambda: ready(client)[:2] == (503, "reconnecting"), "the client has noticed")
    launch.server(port=server.port).wait_ready()
    wait_until(lambda: ready(client) == (200, "paused", 1), "a stream of the new server, and the gap is known")
    received: list = []

    def is_open() -> bool:
        received.extend(client.http.flush())
        return ready(client) == (200, "open", 1)

    wait_until(is_open, "a stream with room")
    client.http.send("Ivan", "new")
    wait_until(lambda: received.extend(client.http.flush()) or received[-1]["text"] == "new", "the new message")
    assert 1 < len(received) < len(texts) and is_prefix(received[:-1], texts)


@pytest.mark.slow
def test_a_server_that_comes_back_with_its_history(launch, tmp_path):
    """The server has its history in a file: every message arrives once, in order, without a gap."""
    history = {"MESSENGER_HISTORY": f"sqlite:{tmp_path / 'room.db'}"}
    server = launch.server(**history).wait_ready()
    client = launch.client(server.address, **SMALL).wait_ready()
    texts = fill(server, client)
    for _ in range(3):
        server.kill()
        wait_until(lambda: ready(client)[0] == 503, "the client has noticed")
        server = launch.server(port=server.port, **history).wait_ready()
        wait_until(lambda: ready(client) == (200, "paused", 0), "a stream of the new server")
    received = collect(client.http, len(texts))
    assert [message["text"] for message in received] == texts


@pytest.mark.slow
@pytest.mark.parametrize("is_full", [False, True])
def test_a_server_that_freezes_and_is_replaced(launch, link, is_full):
    """Keepalive notices a frozen server: 10 s until the ping and 10 s for its answer."""
    server = launch.server().wait_ready()
    wire = link(server.port)
    client = launch.client(wire.address, **SMALL).wait_ready()
    if is_full:
        fill(server, client)
    server.freeze()
    other = launch.server().wait_ready()
    wire.lead_to(other.port)
    began = time.monotonic()
    wait_until(lambda: ready(client)[1] not in ("open", "paused") or ready(client)[2] > 0, "noticed", within=60)
    assert time.monotonic() - began < 45
    wait_until(lambda: ready(client)[:2] == (200, "paused" if is_full else "open"), "a stream of the other server")


def test_a_stream_that_ended_behind_unread_messages(launch):
    """The client keeps the messages that have arrived, but does not call the stream open."""

    def read(request, context):
        after = request.after.seconds * 10**9 + request.after.nanos
        for index in range(150):
            if 10**18 + index > after:
                yield pb.Message(author="Ivan", text=f"{index} {TEXT}", sendTime=timestamp(10**18 + index))
        if after:
            until_cancelled(context)

    server = FakeServer(read)
    client = launch.client(server.address, **SMALL).wait_live()
    try:
        wait_until(lambda: ready(client)[1] == "paused", "the buffer is full")
        server.stop()
        wait_until(lambda: ready(client)[:2] == (503, "reconnecting"), "the client has noticed")
        server = FakeServer(read, port=server.port)
        received = collect(client.http, 150)
        assert [message["text"] for message in received] == [f"{index} {TEXT}" for index in range(150)]
        wait_until(lambda: ready(client)[:2] == (200, "open"), "a stream of the new server")
    finally:
        server.stop()
