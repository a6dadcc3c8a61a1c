"""A network between two programs that a test can break."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any

from support.processes import free_port

#: SO_LINGER with no time: closing a socket sends a RST, and what is on its way is lost.
_LINGER_FOR_NOTHING = struct.pack("ii", 1, 0)


class CuttableLink:
    """A TCP relay to `target`, a port of this machine. A thread drives it."""

    def __init__(self, target: int):
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self._target = target
        self._connections: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.restore()

    def restore(self) -> None:
        """Accepts connections (again), and relays data."""
        self._run(self._restore())

    def cut(self, reset: bool = False) -> None:
        """Closes every connection with a FIN or a RST, and refuses new ones."""
        self._run(self._cut(reset))

    def break_connections(self, reset: bool = False) -> None:
        """Closes every connection, but accepts new ones."""
        self._run(self._break(reset))

    def lead_to(self, target: int) -> None:
        """From now on new connections go to another port, as with a balancer."""
        self._target = target

    def silence(self) -> None:
        """Stops relaying in both directions without closing anything, like an unplugged cable."""
        self._run(self._silence())

    def close(self) -> None:
        self.cut()
        self._run(self._end_relays())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, action: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(timeout=30)

    async def _restore(self) -> None:
        self._flowing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._relay, "0.0.0.0", self.port, backlog=1024)

    async def _cut(self, reset: bool) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
        await self._break(reset)

    async def _break(self, reset: bool) -> None:
        for connection in self._connections:
            if reset:
                connection.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_FOR_NOTHING)
            connection.transport.abort()
        self._connections.clear()
        # One turn of the loop, in which the sockets are closed.
        await asyncio.sleep(0)

    async def _silence(self) -> None:
        self._flowing.clear()

    async def _end_relays(self) -> None:
        relays = asyncio.all_tasks() - {asyncio.current_task()}
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    async def _relay(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        self._connections.add(to_near)
        await self._flowing.wait()
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_near.transport.abort()
            self._connections.discard(to_near)
            return
        if to_near not in self._connections:  # cut meanwhile
            to_far.transport.abort()
            return
        self._connections.add(to_far)
        await asyncio.gather(self._pump(near, to_far), self._pump(far, to_near))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()
        self._connections.discard(sink)
