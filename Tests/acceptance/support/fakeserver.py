"""Servers of the same proto, with grpcio: each test writes its own methods."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from support.api import services
from support.processes import free_port


def refuse(request, context):
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "only reads")


class FakeServer(services.MessengerServerServicer):
    """Answers ReadMessages with what `read(request, context)` yields, and SendMessage with what `send` returns."""

    def __init__(
        self,
        read: Callable[[object, grpc.ServicerContext], Iterable],
        send: Callable[[object, grpc.ServicerContext], object] = refuse,
        port: int | None = None,
    ):
        self.port = port or free_port()
        self.address = f"localhost:{self.port}"
        #: The requests of the streams so far.
        self.requests: list = []
        #: The requests of SendMessage so far.
        self.sends: list = []
        self._read = read
        self._send = send
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
        services.add_MessengerServerServicer_to_server(self, self._server)
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def ReadMessages(self, request, context) -> Iterator:  # noqa: N802: the proto's name
        with self._lock:
            self.requests.append(request)
        yield from self._read(request, context)

    def SendMessage(self, request, context):  # noqa: N802
        with self._lock:
            self.sends.append(request)
        return self._send(request, context)

    def stop(self) -> None:
        self._server.stop(None).wait()


@contextmanager
def fake_server(
    read: Callable[[object, grpc.ServicerContext], Iterable],
    send: Callable[[object, grpc.ServicerContext], object] = refuse,
) -> Iterator[FakeServer]:
    server = FakeServer(read, send)
    try:
        yield server
    finally:
        server.stop()


def until_cancelled(context: grpc.ServicerContext) -> None:
    """Keeps a stream open until its client cancels it."""
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait()
