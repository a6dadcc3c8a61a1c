"""A connection over which one can tell when the server has read what was said."""

import socket
import struct

from support.http2 import ACK, INITIAL_WINDOW_SIZE, PING, PREFACE, SETTINGS, frame


class SettlingConnection:
    """HTTP/2 by hand. What the server says is read only while we wait for it, and forgotten."""

    def __init__(self, port: int, window: int = 65535):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._next = 1
        self.say(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window)))
        #: Settings that the server has not acknowledged.
        self._unread = 1

    def new_stream(self) -> int:
        stream, self._next = self._next, self._next + 2
        return stream

    def say(self, frames: bytes) -> None:
        self._socket.sendall(frames)

    def settle(self) -> None:
        """Returns when the server has read all that was said.

        It acknowledges settings in their turn, as it does pings; but those it takes amiss.
        """
        self.say(frame(SETTINGS, 0, 0))
        self._unread += 1
        while self._unread:
            data = self._socket.recv(1 << 16)
            assert data, "the server has ended the connection"
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= 9 and len(self._received) >= 9 + int.from_bytes(self._received[:3]):
            end = 9 + int.from_bytes(self._received[:3])
            kind, flags, payload = self._received[3], self._received[4], bytes(self._received[9:end])
            del self._received[:end]
            if kind == SETTINGS and flags & ACK:
                self._unread -= 1
            elif kind in (SETTINGS, PING) and not flags & ACK:
                self.say(frame(kind, ACK, 0, payload if kind == PING else b""))

    def close(self) -> None:
        self._socket.close()
