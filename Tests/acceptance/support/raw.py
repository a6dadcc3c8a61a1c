"""Raw bytes to a port, and the answer, for what no client would send."""

import re
import socket
import struct
from dataclasses import dataclass

from support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
)


@dataclass(frozen=True)
class Outcome:
    """How the server ended the first call on a connection, or the connection."""

    #: The call's gRPC status; `None` if it has none.
    status: int | None = None
    #: The status message, as it is on the wire.
    message: str = ""
    #: The error code with which the stream was reset, and that of a GOAWAY.
    reset: int | None = None
    goaway: int | None = None
    #: Whether the server has closed the connection.
    closed: bool = False

    @property
    def refused(self) -> bool:
        return self.status != 0 and (self.status is not None or self.reset is not None or self.closed)


def outcome(port: int, frames: bytes, greeting: bytes = PREFACE + frame(SETTINGS, 0, 0), within: float = 20) -> Outcome:
    """Sends everything on a new connection, and waits until its first stream or the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=within) as connection:
        try:
            connection.sendall(greeting + frames)
            return _read(connection)
        except (BrokenPipeError, ConnectionResetError):
            return Outcome(closed=True)


def _read(connection: socket.socket) -> Outcome:
    received = bytearray()
    headers, goaway = b"", None
    while data := connection.recv(1 << 16):
        received += data
        while len(received) >= 9 and len(received) >= 9 + int.from_bytes(received[:3]):
            end = 9 + int.from_bytes(received[:3])
            kind, flags, stream = received[3], received[4], int.from_bytes(received[5:9])
            payload = bytes(received[9:end])
            del received[:end]
            if kind in (SETTINGS, PING) and not flags & ACK:
                connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY:
                goaway = struct.unpack(">I", payload[4:8])[0]
            elif stream == 1:
                if kind in (HEADERS, CONTINUATION):
                    headers += payload
                if kind == RST_STREAM and b"grpc-status" not in headers:
                    return Outcome(reset=struct.unpack(">I", payload)[0], goaway=goaway)
                if kind in (HEADERS, DATA) and flags & END_STREAM:
                    return Outcome(_status(headers), _message(headers), goaway=goaway)
    return Outcome(goaway=goaway, closed=True)


def _status(headers: bytes) -> int | None:
    """The first answer on a connection has literal headers, since the compression table is empty."""
    found = re.search(rb"grpc-status[\x01\x02](\d+)", headers)
    return int(found[1]) if found else None


def _message(headers: bytes) -> str:
    found = re.search(rb"grpc-message([\x00-\x7e])", headers)
    return headers[found.end() : found.end() + found[1][0]].decode("ascii", "replace") if found else ""


class Feeder:
    """A call with an endless request, as fast as the server's windows allow."""

    def __init__(self, port: int, heads: bytes):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, heads))
        self._received = bytearray()
        #: What may be sent on the connection and on the stream; what a stream begins with.
        self._windows = [65535, 65535]
        self._initial = 65535
        self.ended = False

    def send(self, content: bytes) -> int:
        """Sends the bytes, and returns how many the server accepted before it ended the call or stopped reading."""
        sent = 0
        try:
            while sent < len(content) and not self.ended:
                count = min(16_384, len(content) - sent, *self._windows)
                if count > 0:
                    self._socket.sendall(frame(DATA, 0, 1, content[sent : sent + count]))
                    self._windows = [window - count for window in self._windows]
                    sent += count
                else:
                    self._read()
        except OSError:
            self.ended = True
        return sent

    def _read(self) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            self.ended = True
        self._received += data
        while len(self._received) >= 9 and len(self._received) >= 9 + int.from_bytes(self._received[:3]):
            end = 9 + int.from_bytes(self._received[:3])
            kind, flags, stream = self._received[3], self._received[4], int.from_bytes(self._received[5:9])
            self._take(kind, flags, stream, bytes(self._received[9:end]))
            del self._received[:end]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == WINDOW_UPDATE:
            self._windows[stream] += int.from_bytes(payload)
        elif kind == PING and not flags & ACK:
            self._socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == INITIAL_WINDOW_SIZE:
                    self._windows[1] += value - self._initial
                    self._initial = value
            self._socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind in (HEADERS, RST_STREAM, GOAWAY):
            self.ended = True

    def close(self) -> None:
        self._socket.close()


def grpc_message(content: bytes, length: int | None = None, flag: int = 0) -> bytes:
    """A message with its gRPC prefix. `length` overrides the length in it."""
    return struct.pack(">BI", flag, len(content) if length is None else length) + content


def http_exchange(port: int, *requests: bytes, within: float = 20) -> bytes:
    """Sends everything to an HTTP server, closes the sending side, and returns all that arrives."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=within) as connection:
        try:
            for request in requests:
                connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                received += data
        except (BrokenPipeError, ConnectionResetError):
            pass
    return received
