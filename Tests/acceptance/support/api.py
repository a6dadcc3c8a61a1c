"""A gRPC client of the server, with grpcio."""

import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from support.processes import ROOT

#: Where messenger.proto is; its Python code is generated when this module is imported.
PROTOS = ROOT / "messenger" / "grpc"
sys.path.append(str(PROTOS))
pb, services = grpc.protos_and_services("messenger.proto")

SERVICE = "/mes_grpc.MessengerServer/"

#: No call may hang a test.
PATIENCE = 60


@contextmanager
def connected(address: str, credentials: grpc.ChannelCredentials | None = None) -> Iterator[grpc.Channel]:
    """A channel with its own connection, without TLS if there are no credentials."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    secure = credentials and grpc.secure_channel(address, credentials, options)
    with secure or grpc.insecure_channel(address, options) as channel:
        yield channel


def stub(channel: grpc.Channel):
    return services.MessengerServerStub(channel)


def send_raw(channel: grpc.Channel, request: bytes, method: str = SERVICE + "SendMessage", **options) -> bytes:
    """A unary call with these bytes as the request."""
    call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    return call(request, **{"timeout": PATIENCE, **options})


def failure(code: grpc.StatusCode, call, *arguments, **options) -> grpc.RpcError:
    """Makes the call, which must fail with this code, and returns the error."""
    try:
        result = call(*arguments, **options)
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
        return error
    raise AssertionError(f"{result!r} instead of {code}")


def timestamp(nanoseconds: int) -> Timestamp:
    return Timestamp(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)


def time_of(message) -> int:
    """The sendTime of a message or an answer, in nanoseconds since 1970."""
    return message.sendTime.seconds * 10**9 + message.sendTime.nanos


class Reader:
    """A stream of ReadMessages, which a thread reads. It is open when the constructor returns."""

    def __init__(self, channel: grpc.Channel, after: int | None = None):
        request = pb.ReadMessagesRequest() if after is None else pb.ReadMessagesRequest(after=timestamp(after))
        self.call = stub(channel).ReadMessages(request, timeout=PATIENCE * 2)
        self.metadata = dict(self.call.initial_metadata())
        self._received: queue.Queue = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for message in self.call:
                self._received.put(message)
            self._received.put(grpc.StatusCode.OK)
        except grpc.RpcError as error:
            self._received.put(error.code())

    def take(self, count: int, within: float = 20) -> list:
        """The next `count` messages."""
        return [self._next(within) for _ in range(count)]

    def _next(self, within: float):
        try:
            item = self._received.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"no message on the stream in {within:g} s") from None
        assert not isinstance(item, grpc.StatusCode), f"the stream ended with {item}: {self.call.details()}"
        return item

    def status(self, within: float = 20) -> grpc.StatusCode:
        """Skips messages, waits for the stream's end and returns its status."""
        while True:
            item = self._received.get(timeout=within)
            if isinstance(item, grpc.StatusCode):
                return item

    def cancel(self) -> None:
        self.call.cancel()
        self._thread.join()


@contextmanager
def reading(channel: grpc.Channel, after: int | None = None) -> Iterator[Reader]:
    """An open stream that is cancelled at the end."""
    reader = Reader(channel, after)
    try:
        yield reader
    finally:
        reader.cancel()
