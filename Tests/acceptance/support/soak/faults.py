"""Random faults, one at a time. Each restores everything before it returns."""

import random
import socket
import time
from collections.abc import Callable

from support.api import connected, pb, stub
from support.http2 import Answering, Connection
from support.launcher import Launcher
from support.processes import Client, Server, free_port
from support.proxy import CuttableLink
from support.traffic import Traffic
from support.traffic.readers import BufferReader
from support.traffic.senders import HTTPSender

Fault = Callable[[], None]


class Faults:
    """A server, two clients of it behind a network, and what can happen to them."""

    #: Seconds between the messages of a sender.
    PACE = 0.025

    def __init__(self, chance: random.Random, launch: Launcher, traffic: Callable[[str], Traffic]):
        self._chance = chance
        self._launch = launch
        # A history that is full soon, and covers the longest fault several times.
        metrics = free_port()
        self.server: Server = launch.server(MESSENGER_HISTORY_BYTES="4MiB", MESSENGER_METRICS_PORT=metrics).wait_ready()
        self.link = CuttableLink(self.server.port)
        self.steady: Client = launch.client(self.link.address).wait_ready()
        #: The ports of the metrics of those that are never restarted.
        self.metrics = {"server": metrics, "client": self.steady.port}
        self.mortal: Client = launch.client(self.link.address).wait_ready()
        self.room = traffic(self.server.address)
        for address in self.server.address, self.link.address:
            self.room.read(address)
            self.room.send(address, self.PACE, padding=100)
        self.room.read(self.link.address)
        self.room.send_by(self.room.follow(self.steady, flushers=2), self.PACE)
        self._mortals = self._enter()

    def _enter(self) -> tuple[HTTPSender, BufferReader]:
        # Emptied now and then only.
        reader = self.room.follow(self.mortal, pause=0.5)
        return self.room.send_by(reader, self.PACE), reader

    @property
    def all(self) -> dict[str, Fault]:
        return {
            "connections cut (FIN)": lambda: self.link.break_connections(),
            "connections cut (RST)": lambda: self.link.break_connections(reset=True),
            "network away": self._network_away,
            "network silent": self._network_silent,
            "client killed (kill -9)": self._client_killed,
            "client frozen": lambda: self._frozen(self.steady),
            "server frozen": lambda: self._frozen(self.server),
            "readers stalled": self._stalled_readers,
            "calls cancelled": self._cancelled_calls,
            "streams reset": self._reset_streams,
            "connections reset": self._reset_connections,
            "HTTP requests half sent": self._half_requests,
        }

    def _last(self, longest: float) -> None:
        """How long a fault lasts."""
        time.sleep(self._chance.uniform(0.1, longest))

    def _network_away(self) -> None:
        self.link.cut(reset=self._chance.random() < 0.5)
        self._last(2)
        self.link.restore()

    def _network_silent(self) -> None:
        self.link.silence()
        self._last(3)
        self.link.restore()

    def _client_killed(self) -> None:
        self.mortal.kill()
        self.room.leave(*self._mortals)
        self._launch.forget(self.mortal)
        self._last(0.5)
        self.mortal = self._launch.client(self.link.address, port=self.mortal.port).wait_ready()
        self._mortals = self._enter()

    def _frozen(self, program: Client | Server) -> None:
        program.freeze()
        self._last(3)
        program.thaw()

    def _stalled_readers(self) -> None:
        connections = [Connection(self.server.port, window=0), Connection(self.server.port, receive_buffer=4096)]
        for connection in connections:
            for _ in range(20):
                connection.read_messages()
        self._last(3)
        for connection in connections:
            connection.close()

    def _cancelled_calls(self) -> None:
        with connected(self.link.address) as channel:
            for _ in range(100):
                stub(channel).ReadMessages(pb.ReadMessagesRequest()).cancel()

    def _reset_streams(self) -> None:
        connection = Connection(self.server.port)
        answering = Answering([connection])
        for _ in range(500):
            connection.read_messages(reset=True)
        answering.stop()
        connection.close()

    def _reset_connections(self) -> None:
        for _ in range(50):
            connection = Connection(self.server.port)
            connection.read_messages()
            connection.reset()

    def _half_requests(self) -> None:
        connections = [socket.create_connection(("127.0.0.1", self.steady.port)) for _ in range(20)]
        for connection in connections:
            connection.sendall(b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        self._last(1)
        for connection in connections:
            connection.close()
