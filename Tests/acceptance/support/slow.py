"""HTTP requests that arrive in small pieces and never end ("slow-loris")."""

import selectors
import socket
import threading

#: What begins a request and leaves it open, and what goes on with it for ever.
IN_THE_HEAD = b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\n", b"X-More: 1\r\n"
IN_THE_BODY = b"POST /sendMessage HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{", b" "


class SlowSenders:
    """Connections that each send a few bytes every second, until the other side closes them."""

    def __init__(self, port: int, count: int, start: bytes, more: bytes):
        self._more = more
        self._selector = selectors.DefaultSelector()
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(start)
            self._selector.register(connection, selectors.EVENT_READ)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> int:
        """How many are still open."""
        return len(self._selector.get_map())

    def _run(self) -> None:
        while not self._stopping.wait(1):
            for key in list(self._selector.get_map().values()):
                self._drip(key.fileobj)
            for key, _ in self._selector.select(timeout=0):
                self._look(key.fileobj)

    def _drip(self, connection: socket.socket) -> None:
        try:
            connection.sendall(self._more)
        except OSError:
            self._end(connection)

    def _look(self, connection: socket.socket) -> None:
        """After an answer such as 408 the connection closes."""
        try:
            if not connection.recv(4096):
                self._end(connection)
        except OSError:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            self._end(key.fileobj)
