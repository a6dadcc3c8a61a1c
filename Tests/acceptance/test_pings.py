"""Clients may ping every 5 s, as docs/operations.md says."""

import struct
import time

import pytest

from support.http2 import ACK, PING, SETTINGS, Connection, frame

GOAWAY = 7
#: What the operations page promises, and a little for the clocks.
ALLOWED = 5.05


class Pinging(Connection):
    """A connection that records what became of its pings."""

    def __init__(self, port: int):
        super().__init__(port)
        self.socket.settimeout(20)
        self._received = b""
        # What the server sends of its own makes it forgive pings: first both sides' settings are acknowledged.
        pending = {SETTINGS, SETTINGS + ACK}
        while pending:
            kind, flags, _ = self._frame()
            if kind == SETTINGS:
                pending.discard(SETTINGS + flags)
                if not flags & ACK:
                    self.send(frame(SETTINGS, ACK, 0))
        assert self.ping() is None

    def ping(self) -> bytes | None:
        """Sends a ping and waits for its answer; the reason for the connection's end, if that comes instead."""
        payload = struct.pack(">Q", time.monotonic_ns())
        self.send(frame(PING, 0, 0, payload))
        while True:
            kind, flags, content = self._frame()
            if kind == GOAWAY:
                return content[8:]
            if kind == PING and flags & ACK and content == payload:
                return None

    def _frame(self) -> tuple[int, int, bytes]:
        header = self._take(9)
        return header[3], header[4], self._take(int.from_bytes(header[:3]))

    def _take(self, count: int) -> bytes:
        while len(self._received) < count:
            data = self.socket.recv(65536)
            assert data, "the connection ended without a reason"
            self._received += data
        taken, self._received = self._received[:count], self._received[count:]
        return taken


def answered(connection: Pinging, patient_before: int | None = None) -> int:
    """How many pings in a row are answered before the server closes the connection. One of them comes after a pause."""
    try:
        for count in range(50):
            if count == patient_before:
                time.sleep(ALLOWED)  # the interval itself, not a wait for something
            reason = connection.ping()
            if reason is not None:
                assert reason == b"too_many_pings"
                return count
        raise AssertionError("50 pings in a row are answered")
    finally:
        connection.close()


@pytest.mark.slow
def test_pings_every_five_seconds(launch):
    """The server forgives a few early pings, then closes the connection.

    A ping after 5 s is not an early one. The test needs those 5 s.
    """
    server = launch.server().wait_ready()
    hasty = answered(Pinging(server.port))
    assert answered(Pinging(server.port), patient_before=hasty - 1) == hasty + 1
