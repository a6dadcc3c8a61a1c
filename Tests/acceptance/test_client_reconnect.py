"""The client reconnects by itself, and its buffer loses nothing."""

import time

import pytest

from support.api import connected, pb, stub
from support.processes import free_port
from support.room import assert_increasing, collect
from support.waiting import wait_until

pytestmark = pytest.mark.history


def status(client, path: str) -> int:
    return client.http.request("GET", path).status


def test_a_client_may_start_before_its_server(launch):
    """A client without a server is live but not ready. Once it has one, both clients get the first message."""
    placeholder = launch.server().wait_ready()
    placeholder.kill()
    clients = [launch.client(placeholder.address).wait_live() for _ in range(2)]
    assert [status(client, "/readyz") for client in clients] == [503, 503]
    launch.server(port=placeholder.port)
    for client in clients:
        client.wait_ready()
    sent = clients[0].http.send("Ivan", "first")
    for client in clients:
        assert [message["sendTime"] for message in collect(client.http, 1)] == [sent]


def test_requests_wait_for_the_first_stream(launch):
    """All programs start together: the first message reaches both clients although the test waited for neither."""
    server = launch.server()
    clients = [launch.client(server.address).wait_live() for _ in range(2)]
    # The second client's flush waits for its stream; only then is the message sent.
    assert clients[1].http.flush() == []
    sent = clients[0].http.send("Ivan", "first")
    for client in clients:
        assert [message["sendTime"] for message in collect(client.http, 1)] == [sent]


def test_without_a_server_a_send_fails_in_bounded_time(launch):
    """503 or 504 with a sentence, after MESSENGER_OPEN_TIMEOUT and MESSENGER_SEND_TIMEOUT at the latest."""
    limits = {"MESSENGER_OPEN_TIMEOUT": "1s", "MESSENGER_SEND_TIMEOUT": "1s"}
    client = launch.client(f"localhost:{free_port()}", **limits).wait_live()
    began = time.monotonic()
    response = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"})
    assert response.status in (503, 504)
    assert response.json()["sendTime"] is None and response.json()["error"]
    assert time.monotonic() - began < 8


def test_a_killed_server_comes_back(launch):
    """After kill -9 and a restart both clients are ready again, and get each new message once."""
    server = launch.server().wait_ready()
    clients = [launch.client(server.address).wait_ready() for _ in range(2)]
    before = clients[0].http.send("Ivan", "before")
    for client in clients:
        assert [message["sendTime"] for message in collect(client.http, 1)] == [before]
    server.kill()
    wait_until(lambda: {status(client, "/readyz") for client in clients} == {503}, "both notice")
    assert [status(client, "/healthz") for client in clients] == [200, 200]

    launch.server(port=server.port).wait_ready()
    for client in clients:
        client.wait_ready()
    after = clients[0].http.send("Ivan", "after")
    for client in clients:
        assert [message["sendTime"] for message in collect(client.http, 1)] == [after]
    assert_increasing([before, after])


def test_a_cut_network_loses_nothing(launch, link):
    """One client is cut off while the other sends. Reconnected, it gets every message once, in order."""
    server = launch.server().wait_ready()
    near = launch.client(server.address).wait_ready()
    wire = link(server.port)
    far = launch.client(wire.address).wait_ready()

    times = []
    with near.http.connection() as connection:
        for round in range(3):
            times += [connection.send("Ivan", f"{round} before the cut {index}") for index in range(40)]
            wire.cut()
            times += [connection.send("Ivan", f"{round} during the cut {index}") for index in range(40)]
            wait_until(lambda: status(far, "/readyz") == 503, "the cut is noticed")
            wire.restore()
            far.wait_ready()
            times += [connection.send("Ivan", f"{round} after the cut {index}") for index in range(40)]

    assert [message["sendTime"] for message in collect(far.http, len(times))] == times
    assert [message["sendTime"] for message in collect(near.http, len(times))] == times


def test_cuts_in_the_middle_of_a_flood(launch, link):
    """The connection breaks ten times within 1,000 messages: none is lost, doubled or reordered."""
    server = launch.server().wait_ready()
    wire = link(server.port)
    far = launch.client(wire.address).wait_ready()
    times = []
    with connected(server.address) as channel:
        for index in range(1_000):
            answer = stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=str(index)))
            times.append((answer.sendTime.seconds, answer.sendTime.nanos))
            if index % 100 == 50:
                wire.cut()
                wire.restore()
    received = collect(far.http, len(times), within=60)
    assert [message["text"] for message in received] == [str(index) for index in range(len(times))]
    assert_increasing([message["sendTime"] for message in received])
