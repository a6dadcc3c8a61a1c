"""HTTP/2 frames by hand, for what no good client does: unread streams, thousands of resets."""

import dataclasses
import hashlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass

from support.api import SERVICE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS = 4
PADDED = 8
INITIAL_WINDOW_SIZE = 4
CANCEL = 8

#: The largest window there is, less the one that every connection and stream begins with.
_BOUNDLESS = 2**31 - 1 - 65535


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()


def field(name: str, value: str) -> bytes:
    """A literal header field."""
    return b"\x00" + _text(name) + _text(value)


def call_headers(method: str) -> bytes:
    """A gRPC call's headers. None enters the compression table, so they are the same for each call."""
    return (
        b"\x83\x86\x04"  # POST, http, path
        + _text(SERVICE + method)
        + b"\x01"  # authority
        + _text("localhost")
        + b"\x0f\x10"  # content-type
        + _text("application/grpc")
        + field("te", "trailers")
    )


def cancellation(stream: int) -> bytes:
    """The frame with which a client cancels its call."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))


_READ_HEADERS = call_headers("ReadMessages")
_EMPTY_MESSAGE = bytes(5)


class Connection:
    """A connection to a server of this machine. It answers nothing by itself: see `Answering`."""

    def __init__(self, port: int, receive_buffer: int | None = None, window: int | None = None):
        """`receive_buffer` is about the size of the kernel's buffer, `window` what a stream may send unread."""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        settings = b"" if window is None else struct.pack(">HI", INITIAL_WINDOW_SIZE, window)
        # The connection's own window is boundless, so that each stream has just its own.
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings) + self._window_update(0))
        self._next = 1

    @staticmethod
    def _window_update(stream: int) -> bytes:
        return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", _BOUNDLESS))

    def send(self, bytes_: bytes) -> None:
        self.socket.sendall(bytes_)

    def read_messages(self, boundless: bool = False, reset: bool = False) -> int:
        """Opens a stream with the connection's window or an unlimited one. Resets it at once if asked to."""
        stream, self._next = self._next, self._next + 2
        frames = frame(HEADERS, END_HEADERS, stream, _READ_HEADERS) + frame(DATA, END_STREAM, stream, _EMPTY_MESSAGE)
        if boundless:
            frames += self._window_update(stream)
        if reset:
            frames += cancellation(stream)
        self.send(frames)
        return stream

    def reset(self) -> None:
        """Ends the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


@dataclass
class Stream:
    """What a stream has received so far."""

    opened: bool = False
    bytes: int = 0
    digest: "hashlib._Hash" = dataclasses.field(default_factory=hashlib.md5)


class Answering:
    """One thread that reads from all connections, and answers pings and settings."""

    def __init__(self, connections: list[Connection]):
        self.streams: dict[tuple[Connection, int], Stream] = {}
        self._buffers = {connection: bytearray() for connection in connections}
        self._selector = selectors.DefaultSelector()
        for connection in connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(timeout=0.1):
                try:
                    data = key.data.socket.recv(1 << 20)
                    self._take(key.data, data)
                except OSError:
                    data = b""
                if not data:
                    self._selector.unregister(key.fileobj)

    def _take(self, connection: Connection, data: bytes) -> None:
        buffer = self._buffers[connection]
        buffer += data
        start = 0
        while len(buffer) >= start + 9:
            length = int.from_bytes(buffer[start : start + 3])
            if len(buffer) < start + 9 + length:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream = int.from_bytes(buffer[start + 5 : start + 9])
            self._frame(connection, kind, flags, stream, bytes(buffer[start + 9 : start + 9 + length]))
            start += 9 + length
        del buffer[:start]

    def _frame(self, connection: Connection, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind in (SETTINGS, PING) and not flags & ACK:
            connection.send(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind in (HEADERS, DATA):
            state = self.streams.setdefault((connection, stream), Stream())
            state.opened = True
            if kind == DATA:
                # In this order: who has waited for the bytes looks at the digest.
                state.digest.update(payload)
                state.bytes += len(payload)
