"""Senders and readers of one server, and their history."""

import math
import time

from support.api import PATIENCE, connected, pb, stub, time_of
from support.history import History, Outcome, Send
from support.processes import HISTORY, Client
from support.traffic.participant import Participant
from support.traffic.readers import BufferReader, Reader, StreamReader
from support.traffic.senders import GRPCSender, HTTPSender, InsistentSender, Sender
from support.waiting import wait_until


class Traffic:
    """Each participant may have its own way to the server: the server's address or a link's."""

    def __init__(self, server: str, held: float = math.inf):
        """`server` is an address that nobody breaks. It holds `held` messages, or more than are sent."""
        self.server = server
        self.held = held
        self.senders: list[Sender] = []
        self.readers: list[Reader] = []
        #: Those who have not been stopped.
        self.live: list[Participant] = []
        self._kills: list[int] = []
        self._stops: list[int] = []

    def read(self, address: str | None = None) -> StreamReader:
        """Adds a stream."""
        return self._enter(StreamReader(f"reader{len(self.readers)}", address or self.server), self.readers)

    def follow(self, client: Client, pause: float = 0.01, flushers: int = 1) -> BufferReader:
        """Adds a reader of the client's buffer."""
        return self._enter(BufferReader(f"client{len(self.readers)}", client, pause, flushers), self.readers)

    def send(self, address: str | None = None, pace: float = 0.002, padding: int = 0) -> GRPCSender:
        """Adds a sender over gRPC."""
        name = f"sender{len(self.senders)}"
        return self._enter(GRPCSender(name, address or self.server, pace, padding), self.senders)

    def insist(self, *addresses: str, pace: float = 0.002) -> InsistentSender:
        """Adds a sender over gRPC that sends each message until one of the servers has answered."""
        name = f"sender{len(self.senders)}"
        return self._enter(InsistentSender(name, list(addresses) or [self.server], pace), self.senders)

    def send_by(self, follower: BufferReader, pace: float = 0.002, padding: int = 0) -> HTTPSender:
        """Adds a sender over a client whose buffer is read."""
        name = f"sender{len(self.senders)}"
        return self._enter(HTTPSender(name, follower.client, pace, follower.name, padding), self.senders)

    def _enter(self, participant, others: list):
        others.append(participant)
        self.live.append(participant)
        participant.start()
        return participant

    def server_killed(self) -> None:
        """Call it between the end of a killed server and the start of the next, if its history is lost."""
        if HISTORY == "memory":
            self._kills.append(time.time_ns())

    def server_stopped(self) -> None:
        """The same for a stopped server."""
        if HISTORY == "memory":
            self._stops.append(time.time_ns())

    def leave(self, *participants: Participant) -> None:
        """Stops participants. What they have so far stays in the history."""
        for participant in participants:
            participant.stop()
            participant.check()
            self.live.remove(participant)

    @property
    def accepted(self) -> int:
        return sum(sender.accepted for sender in self.senders)

    def run(self, count: int, within: float = 60) -> None:
        """Waits until `count` more messages have been accepted."""
        wanted = self.accepted + count
        self._wait(lambda: self.accepted >= wanted, f"{count} more messages are accepted", within)

    def until_normal(self, within: float = 60) -> float:
        """Waits until every sender has had a message accepted, and every reader has received one, from now on.

        Returns the seconds that this took.
        """
        began, now = time.monotonic(), time.time_ns()
        self._wait(lambda: all(one.latest > now for one in self.live), "everybody sends and gets again", within)
        return time.monotonic() - began

    def finish(self, within: float = 60) -> History:
        """Ends the sending, waits until every reader has everything, and returns the history."""
        self.leave(*(one for one in self.live if isinstance(one, Sender)))
        last = self._send_last()
        self._wait(lambda: all(one.latest >= last.time for one in self.live), "all readers have all", within)
        sends = [send for sender in self.senders for send in sender.sends] + [last]
        for reader in list(self.live):
            if isinstance(reader, BufferReader):
                reader.ask_for_gaps()
            reader.reading.through = math.inf
            self.leave(reader)
        return History(sends, [reader.reading for reader in self.readers], self._kills, self._stops, self.held)

    def _send_last(self) -> Send:
        with connected(self.server) as channel:
            request = pb.SendMessageRequest(author="the last")
            answer = stub(channel).SendMessage(request, timeout=PATIENCE, wait_for_ready=True)
        return Send("the last", "", Outcome.ACCEPTED, time_of(answer), began=time.monotonic())

    def _wait(self, condition, what: str, within: float) -> None:
        def holds() -> bool:
            for one in self.live:
                one.check()
            return condition()

        try:
            wait_until(holds, what, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._standing()}") from None

    def _standing(self) -> str:
        now = time.time_ns()
        return ", ".join(f"{one.name} {(now - one.latest) / 1e9:.1f} s behind" for one in self.live if one.latest)

    def close(self) -> None:
        """Stops the participants that a failed test has left."""
        for participant in self.live:
            participant.stopping.set()
            participant.interrupt()
        for participant in self.live:
            participant.stop()
        self.live.clear()
