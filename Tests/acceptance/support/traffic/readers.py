"""Readers that resume where they were after a break, as good clients do."""

import dataclasses
import http.client
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc

from support.api import pb, stub, time_of, timestamp
from support.history import Flush, Gap, Message, Reading, in_order
from support.http import HTTPConnection
from support.processes import Client
from support.room import nanoseconds
from support.traffic.participant import Participant
from support.traffic.senders import CHANNEL_OPTIONS
from support.waiting import wait_until


class Reader(Participant):
    """A participant with a reading."""

    reading: Reading


class StreamReader(Reader):
    """Reads ReadMessages. Whenever the stream ends, it opens another one after its last message."""

    def __init__(self, name: str, address: str):
        super().__init__(name)
        self._channel = grpc.insecure_channel(address, CHANNEL_OPTIONS)
        self._opened = threading.Event()
        self._position: int | None = None
        self._call: grpc.Call | None = None
        #: How often a stream has ended.
        self.ends = 0
        #: How often in a row a position was refused, and what was said the first time.
        self._refusals = 0
        self._gap: Gap | None = None

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
        if position:
            self._accepted(nanoseconds(position))
        for message in call:
            self._position = time_of(message)
            self.reading.messages.append(Message(self._position, message.author, message.text))
            self.latest = self._position

    def _accepted(self, position: int) -> None:
        self._position = position
        if not self._opened.is_set():
            self.reading = Reading(self.name, position, position)
            self._opened.set()
        if self._gap:
            self.reading.gaps.append(dataclasses.replace(self._gap, went_on_after=position))
            self._gap = None
            self._refusals = 0

    def _ended(self, error: grpc.RpcError) -> None:
        self.ends += 1
        if error.code() is grpc.StatusCode.OUT_OF_RANGE:
            held = nanoseconds(dict(error.trailing_metadata())["messenger-held-after"])
            self._gap = self._gap or Gap(held, reported=time.time_ns())
            # It may not be held any more when it is asked for: then from a second later on, and then from now on.
            self._position = [held, held + 10**9, None][min(self._refusals, 2)]
            self._refusals += 1

    def interrupt(self) -> None:
        if self._call:
            self._call.cancel()


class BufferReader(Reader):
    """Flushes a client's buffer again and again. There may be several of one client."""

    #: The gap ends where the next stream begins.
    _GAP = re.compile(
        r"^(\S+) error .*: messages lost .*only messages after (\S+) are held(?:.*\n)+?.* stream open after=(\S+).*$",
        re.MULTILINE,
    )

    def __init__(self, name: str, client: Client, pause: float = 0.01, flushers: int = 1):
        super().__init__(name)
        self.client = client
        self.pause = pause
        self.flushers = flushers
        self.reading = Reading(name, not_before=client.started, complete_after=time.time_ns())

    def work(self) -> None:
        with ThreadPoolExecutor(self.flushers) as pool:
            for flusher in [pool.submit(self._flush_on) for _ in range(self.flushers)]:
                flusher.result()
        self.reading.messages = in_order(self.reading.flushes)

    def _flush_on(self) -> None:
        connection = HTTPConnection(self.client.http.address)
        while not self.stopping.wait(self.pause):
            try:
                self._flush(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                self.stopping.wait(self.PAUSE)
        connection.close()

    def _flush(self, connection: HTTPConnection) -> None:
        began = time.monotonic()
        response = connection.request("POST", "/getAndFlushMessages")
        ended = time.monotonic()
        # A client that has just been started says 503 as long as it has found no server.
        if response.status == 200 and (some := response.json()):
            messages = [Message(nanoseconds(m["sendTime"]), m["author"], m["text"]) for m in some]
            self.reading.flushes.append(Flush(began, ended, messages))
            self.latest = max(self.latest, messages[-1].time)

    def ask_for_gaps(self) -> None:
        """The client counts gaps, and logs them with their times: both must agree."""
        count = self.client.http.request("GET", "/readyz").json()["gaps"]
        # It counts a gap just before it writes it down.
        wait_until(lambda: len(self._gaps_logged()) >= count, f"{count} gaps are in {self.name}'s log")
        self.reading.gaps = self._gaps_logged()
        assert len(self.reading.gaps) == count, f"{self.name} counts {count} gaps, and has logged {self.reading.gaps}"

    def _gaps_logged(self) -> list[Gap]:
        gaps = self._GAP.findall(self.client.log())
        return [Gap(nanoseconds(held), nanoseconds(reported), nanoseconds(end)) for reported, held, end in gaps]
