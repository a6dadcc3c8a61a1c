"""Those who read, as good users do: after a break they go on where they were."""

import http.client
import threading
import time

import grpc

from support.api import pb, stub, time_of, timestamp
from support.history import Message, Reading
from support.http import HTTPConnection
from support.processes import Client
from support.room import nanoseconds
from support.traffic.participant import Participant
from support.traffic.senders import CHANNEL_OPTIONS


class Reader(Participant):
    """Somebody with a reading."""

    reading: Reading

    def got(self, messages: list[Message]) -> None:
        self.reading.messages += messages
        self.latest = messages[-1].time


class StreamReader(Reader):
    """Reads ReadMessages; opens it again after the last message whenever it ends."""

    def __init__(self, name: str, address: str):
        super().__init__(name)
        self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._opened = threading.Event()
        self._position: int | None = None
        self._call: grpc.Call | None = None
        #: How often a stream has ended.
        self.ends = 0

    def start(self) -> None:
        """Returns when the stream is open."""
        super().start()
        assert self._opened.wait(30), f"{self.name} did not open in 30 s {self.error or ''}"

    def work(self) -> None:
        while not self.stopping.is_set():
            try:
                self._read()
            except grpc.RpcError as error:
                self._ended(error)
            self.stopping.wait(self.PAUSE)
        self._channel.close()

    def _read(self) -> None:
        request = pb.ReadMessagesRequest(after=None if self._position is None else timestamp(self._position))
        self._call = call = stub(self._channel).ReadMessages(request, wait_for_ready=True)
        if self.stopping.is_set():
            call.cancel()
        # A stream that is refused has no position: its end says why.
        position = dict(call.initial_metadata()).get("messenger-position")
        if position and self._position is None:
            self._position = nanoseconds(position)
            self.reading = Reading(self.name, self._position, self._position)
            self._opened.set()
        for message in call:
            self._position = time_of(message)
            self.got([Message(self._position, message.author, message.text)])

    def _ended(self, error: grpc.RpcError) -> None:
        self.ends += 1
        if error.code() is grpc.StatusCode.OUT_OF_RANGE:
            self.reading.gaps_told += 1
            self._position = nanoseconds(dict(error.trailing_metadata())["messenger-held-after"])

    def interrupt(self) -> None:
        if self._call:
            self._call.cancel()


class BufferReader(Reader):
    """Empties a client's buffer again and again."""

    def __init__(self, name: str, client: Client, pause: float = 0.01):
        super().__init__(name)
        self.client = client
        self.pause = pause
        self.reading = Reading(name, not_before=client.started, complete_after=time.time_ns())

    def work(self) -> None:
        connection = HTTPConnection(self.client.http.address)
        while not self.stopping.wait(self.pause):
            try:
                self._flush(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                self.stopping.wait(self.PAUSE)
        connection.close()

    def _flush(self, connection: HTTPConnection) -> None:
        response = connection.request("POST", "/getAndFlushMessages")
        # A client that has just been started says 503 as long as it has found no server.
        if response.status == 200 and (some := response.json()):
            self.got([Message(nanoseconds(m["sendTime"]), m["author"], m["text"]) for m in some])

    def ask_for_gaps(self) -> None:
        self.reading.gaps_told = self.client.http.request("GET", "/readyz").json()["gaps"]
