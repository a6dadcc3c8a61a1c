"""Readers of /events while servers and clients are killed: nothing is missing, and nothing comes twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from support.events import Event, EventReader
from support.processes import Client, Server
from support.waiting import wait_until

pytestmark = pytest.mark.fault


class Browser:
    """Reads events as `EventSource` does: it connects again with the last ID whenever the connection ends."""

    def __init__(self, port: int):
        self.events: list[Event] = []
        #: How often it had to connect.
        self.connections = 0
        self._port = port
        self._last_id: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._last_id, "the stream has begun")

    @property
    def times(self) -> list[str]:
        return [event.json()["sendTime"] for event in self.events if event.type == "message"]

    @property
    def gaps(self) -> list[Event]:
        return [event for event in self.events if event.type == "gap"]

    def _run(self) -> None:
        while not self._stopping.wait(0.05):
            # A client that has ended refuses connections, and one that is killed breaks them.
            with suppress(OSError), EventReader(self._port, last_event_id=self._last_id) as reader:
                self.connections += 1
                while not self._stopping.is_set() and (line := reader.line()) is not None:
                    if line.startswith("data"):
                        self.events.append(Event(reader.type, reader.last_id, line.removeprefix("data: ")))
                    # As browsers do: with the empty line at the event's end.
                    elif line == "":
                        self._last_id = reader.last_id

    def stop(self) -> None:
        self._stopping.set()


@contextmanager
def sending(client: Client) -> Iterator[list[str]]:
    """Sends messages all the time. What the list holds has been accepted."""
    accepted: list[str] = []
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.005):
            with suppress(OSError):
                answer = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": str(len(accepted))})
                if answer.status == 200:
                    accepted.append(answer.json()["sendTime"])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield accepted
    finally:
        stopping.set()
        thread.join()


def grows(accepted: list[str], by: int) -> None:
    count = len(accepted) + by
    wait_until(lambda: len(accepted) >= count, "messages are accepted")


def held(client: Client) -> list[str]:
    """The times of all messages that the room holds."""
    return [message["sendTime"] for message in client.http.request("GET", "/messages?last=10000").json()]


@pytest.fixture
def durable(launch, tmp_path):
    """Starts servers of one history in a file."""

    def start(port: int | None = None) -> Server:
        return launch.server(port=port, MESSENGER_HISTORY=f"sqlite:{tmp_path / 'room.db'}").wait_ready()

    return start


def test_servers_and_clients_are_killed(launch, durable):
    server = durable()
    sender = launch.client(server.address).wait_ready()
    client = launch.client(server.address).wait_ready()
    browsers = [Browser(client.port) for _ in range(3)]
    with sending(sender) as accepted:
        grows(accepted, 20)
        for _ in range(2):
            server.kill()
            server = durable(server.port)
            grows(accepted, 20)
        assert all(browser.connections == 1 for browser in browsers), "they stay while the server is away"
        client.kill()
        grows(accepted, 20)
        client = launch.client(server.address, port=client.port).wait_ready()
        grows(accepted, 20)
        client.stop()
        client = launch.client(server.address, port=client.port).wait_ready()
        server.kill()
        server = durable(server.port)
        grows(accepted, 20)
    expected = held(sender.wait_ready())
    assert set(accepted) <= set(expected)
    for browser in browsers:
        wait_until(lambda browser=browser: len(browser.times) >= len(expected), "all messages arrive")
        browser.stop()
        assert browser.times == expected
        assert not browser.gaps


def test_a_reader_that_begins_while_the_server_is_away(launch, durable):
    """It gets what is accepted from then on, and nothing from before."""
    server = durable()
    client = launch.client(server.address).wait_ready()
    before = client.http.send("Ivan", "before")
    server.kill()
    with EventReader(client.port).open() as now, EventReader(client.port, f"?after={before}").open() as resuming:
        durable(server.port)
        wait_until(lambda: client.http.request("GET", "/readyz").status == 200, "the server is back")
        sent = [client.http.send("Ivan", str(number)) for number in range(3)]
        for reader in now, resuming:
            assert [message["sendTime"] for message in reader.messages(3)] == sent


def test_a_server_that_has_lost_its_history(launch):
    """Each reader is told about the gap once, with the time after which the room holds messages."""
    server = launch.server(MESSENGER_HISTORY="memory:").wait_ready()
    client = launch.client(server.address).wait_ready()
    browsers = [Browser(client.port) for _ in range(3)]
    client.http.send("Ivan", "before")
    wait_until(lambda: all(len(browser.times) == 1 for browser in browsers), "the message arrives")
    server.kill()
    server = launch.server(port=server.port, MESSENGER_HISTORY="memory:").wait_ready()
    wait_until(lambda: client.http.request("GET", "/readyz").status == 200, "the client is ready")
    sent = client.http.send("Ivan", "after")
    for browser in browsers:
        wait_until(lambda browser=browser: len(browser.times) == 2, "the message arrives")
        browser.stop()
        assert browser.times[1] == sent
        assert len(browser.gaps) == 1
        assert browser.times[0] < browser.gaps[0].json()["heldAfter"] < sent
