"""Raw calls of any shape on one connection: half-sent, cancelled, and how each of them ended."""

import re
import socket
import struct
import threading
from collections.abc import Sequence

from support.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    SETTINGS,
    Answering,
    Connection,
    Stream,
    call_headers,
    cancellation,
    field,
    frame,
)
from support.raw import grpc_message
from support.waiting import wait_until

HEADER_TABLE_SIZE = 1


class Calls(Connection):
    """A connection that reads everything, and knows when the server has read what was sent."""

    def __init__(self, port: int):
        self._sending = threading.Lock()
        super().__init__(port)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Without a compression table each status is there in full.
        self.send(frame(SETTINGS, 0, 0, struct.pack(">HI", HEADER_TABLE_SIZE, 0)))
        self._settings = 2
        self._answers = _Answers(self)

    def send(self, bytes_: bytes) -> None:
        with self._sending:
            super().send(bytes_)

    def begin(self, method: str, said: bytes = b"", end: bool = False, timeouts: Sequence[str] = ()) -> int:
        """Begins a call with this much of its request, and says whether that is all of it."""
        self.send(self._beginning(method, said, end, timeouts))
        return self._next - 2

    def begin_open(self, count: int, method: str, said: bytes) -> list[int]:
        """Begins so many calls that the server does not refuse."""
        streams: list[int] = []

        def all_open() -> bool:
            new = [self.begin(method, said, end=True) for _ in range(count - len(streams))]
            self.wait_open(*new)
            streams.extend(stream for stream in new if self.status(stream) is None)
            return len(streams) == count

        wait_until(all_open, f"{count} calls are open")
        return streams

    def begin_and_cancel(self, method: str, said: bytes, end: bool) -> None:
        """Begins a call and cancels it at once."""
        self.send(self._beginning(method, said, end) + cancellation(self._next - 2))

    def _beginning(self, method: str, said: bytes, end: bool, timeouts: Sequence[str] = ()) -> bytes:
        stream, self._next = self._next, self._next + 2
        heads = call_headers(method) + b"".join(field("grpc-timeout", timeout) for timeout in timeouts)
        data = frame(DATA, END_STREAM if end else 0, stream, said) if said or end else b""
        return frame(HEADERS, END_HEADERS, stream, heads) + data

    def say(self, stream: int, said: bytes) -> None:
        """Sends the rest of a call's request."""
        self.send(frame(DATA, END_STREAM, stream, said))

    def widen(self, stream: int) -> None:
        """Lets the server send all that it has on the stream."""
        self.send(self._window_update(stream))

    def cancel(self, *streams: int) -> None:
        self.send(b"".join(map(cancellation, streams)))

    def wait_read(self) -> None:
        """Waits until the server has read everything. It acknowledges settings in their turn."""
        self._settings += 1
        self.send(frame(SETTINGS, 0, 0))
        self._answers.wait_acknowledged(self._settings)

    def got(self, stream: int) -> Stream:
        """What the stream has received so far."""
        return self._answers.streams.get((self, stream)) or Stream()

    def wait_open(self, *streams: int) -> None:
        wait_until(lambda: all(self.got(stream).opened for stream in streams), "the streams are open")

    def wait_bytes(self, stream: int, at_least: int) -> None:
        wait_until(lambda: self.got(stream).bytes >= at_least, f"stream {stream} has {at_least} bytes")

    def status(self, stream: int) -> int | None:
        """The gRPC status with which the server ended the call, if it did."""
        statuses = self.statuses(stream)
        return statuses[0] if statuses else None

    def statuses(self, stream: int) -> list[int]:
        """All statuses of the call. There should be one."""
        return list(self._answers.statuses.get(stream, []))

    def wait_status(self, stream: int, within: float = 20) -> int | None:
        wait_until(lambda: self.status(stream) is not None, f"stream {stream} has ended", within)
        return self.status(stream)

    def wait_accepted(self, message: bytes) -> None:
        """Sends a message until the server has room for the call."""
        wait_until(lambda: self.wait_status(self.begin("SendMessage", message, end=True)) == 0, "a message is accepted")

    def wait_room(self, count: int) -> None:
        """Waits until the server accepts this many more calls. If that is its limit, no other call is open."""
        wait_until(lambda: self._fit(count), f"{count} more calls fit in")

    def _fit(self, count: int) -> bool:
        streams = [self.begin("ReadMessages", grpc_message(b""), end=True) for _ in range(count)]
        self.wait_open(*streams)
        refused = [stream for stream in streams if self.status(stream) is not None]
        self.cancel(*streams)
        return not refused

    def close(self) -> None:
        self._answers.stop()
        super().close()


class _Answers(Answering):
    """What arrives on one connection."""

    def __init__(self, connection: Connection):
        self.statuses: dict[int, list[int]] = {}
        self._acknowledged = 0
        self._changed = threading.Condition()
        super().__init__([connection])

    def wait_acknowledged(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._acknowledged >= count, timeout=20), "the server reads no more"

    def _frame(self, connection: Connection, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and flags & ACK:
            with self._changed:
                self._acknowledged += 1
                self._changed.notify_all()
            return
        found = kind == HEADERS and re.search(rb"grpc-status[\x01\x02](\d+)", payload)
        if found:
            self.statuses.setdefault(stream, []).append(int(found[1]))
        # A stream that is open has its status, if it came with that.
        super()._frame(connection, kind, flags, stream, payload)
