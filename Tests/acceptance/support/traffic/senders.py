"""Senders, which record the answers."""

import http.client
import time

import grpc

from support.api import pb, stub, time_of
from support.history import Outcome, Send
from support.http import HTTPConnection
from support.processes import Client
from support.room import nanoseconds
from support.traffic.participant import Participant

#: What a channel of a test needs to be back as soon as the network is, and to notice a silent one.
CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]

_REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}

Answer = tuple[Outcome, int | None]


class Sender(Participant):
    """Sends one message after the other, `pace` seconds apart, never one twice."""

    def __init__(self, name: str, pace: float, padding: int = 0, own: str | None = None):
        super().__init__(name)
        self.sends: list[Send] = []
        self.accepted = 0
        self._pace = pace
        self._padding = padding
        self._own = own

    def work(self) -> None:
        number = 0
        while not self.stopping.wait(self._pace):
            text = str(number).ljust(self._padding)
            began = time.monotonic()
            outcome, send_time = self.submit(text)
            self.sends.append(Send(self.name, text, outcome, send_time, began, time.monotonic(), self._own))
            if send_time is not None:
                self.accepted += 1
                self.latest = send_time
            else:
                self.stopping.wait(self.PAUSE)
            number += 1
        self.hang_up()

    def submit(self, text: str) -> Answer:
        raise NotImplementedError

    def hang_up(self) -> None:
        pass


class GRPCSender(Sender):
    """Sends by SendMessage."""

    #: Longer than any answer takes that comes at all.
    TIMEOUT = 10

    def __init__(self, name: str, address: str, pace: float, padding: int = 0):
        super().__init__(name, pace, padding)
        self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._stub = stub(self._channel)

    def submit(self, text: str) -> Answer:
        try:
            request = pb.SendMessageRequest(author=self.name, text=text)
            return Outcome.ACCEPTED, time_of(self._stub.SendMessage(request, timeout=self.TIMEOUT))
        except grpc.RpcError as error:
            return (Outcome.REFUSED if error.code() in _REFUSALS else Outcome.UNKNOWN), None

    def hang_up(self) -> None:
        self._channel.close()


class InsistentSender(Sender):
    """Sends each message again, under the same key, until there is an answer. It tries the servers in turn."""

    #: A server that was killed does not answer any more.
    TIMEOUT = 2

    def __init__(self, name: str, addresses: list[str], pace: float):
        super().__init__(name, pace)
        self._channels = [grpc.insecure_channel(address, CHANNEL_OPTIONS) for address in addresses]
        self._attempts = 0
        #: How many messages needed more than one attempt.
        self.repeated = 0

    def submit(self, text: str) -> Answer:
        request = pb.SendMessageRequest(author=self.name, text=text, idempotencyKey=f"{self.name} {text}")
        first = self._attempts
        while True:
            channel = self._channels[self._attempts % len(self._channels)]
            self._attempts += 1
            try:
                answer = stub(channel).SendMessage(request, timeout=self.TIMEOUT)
            except grpc.RpcError as error:
                if error.code() in _REFUSALS:
                    return Outcome.REFUSED, None
                if self.stopping.wait(self.PAUSE):
                    return Outcome.UNKNOWN, None
            else:
                self.repeated += self._attempts > first + 1
                return Outcome.ACCEPTED, time_of(answer)

    def hang_up(self) -> None:
        for channel in self._channels:
            channel.close()


class HTTPSender(Sender):
    """Sends by a client's /sendMessage. Its messages must arrive in that client's buffer."""

    def __init__(self, name: str, client: Client, pace: float, own: str, padding: int = 0):
        super().__init__(name, pace, padding, own)
        self._address = client.http.address
        self._connection = HTTPConnection(self._address)
        #: How long the longest answer took.
        self.slowest = 0.0

    def submit(self, text: str) -> Answer:
        began = time.monotonic()
        try:
            response = self._connection.request("POST", "/sendMessage", {"author": self.name, "text": text})
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = HTTPConnection(self._address)
            return Outcome.UNKNOWN, None
        self.slowest = max(self.slowest, time.monotonic() - began)
        if response.status == 200:
            return Outcome.ACCEPTED, nanoseconds(response.json()["sendTime"])
        return (Outcome.REFUSED if response.status in (400, 413, 429, 507) else Outcome.UNKNOWN), None

    def hang_up(self) -> None:
        self._connection.close()
