"""The interop tests' messages and services for grpcio, made from their .proto files, and what both ends need of them.

Neither end of grpcio can tell whether a message came compressed, so its core is told not to expand messages
(AS_RECEIVED), and it is done here.
"""

import gzip
import pathlib
import tempfile
from typing import NamedTuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

AS_RECEIVED = [("grpc.per_message_decompression", 0)]


class Received(NamedTuple):
    message: object
    was_compressed: bool


def _load():
    protos = pathlib.Path(__file__).parent.parent / "Interop" / "Protos"
    pool = descriptor_pool.DescriptorPool()
    with tempfile.NamedTemporaryFile() as descriptors:
        arguments = [f"-I{protos}", "--include_imports", f"--descriptor_set_out={descriptors.name}"]
        assert protoc.main(["protoc", *arguments, "grpc/testing/test.proto"]) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(descriptors.name).read_bytes()).file
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_pool = _load()


def _message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"grpc.testing.{name}"))


Empty = _message("Empty")
BoolValue = _message("BoolValue")
Payload = _message("Payload")
EchoStatus = _message("EchoStatus")
SimpleRequest = _message("SimpleRequest")
SimpleResponse = _message("SimpleResponse")
ResponseParameters = _message("ResponseParameters")
StreamingInputCallRequest = _message("StreamingInputCallRequest")
StreamingInputCallResponse = _message("StreamingInputCallResponse")
StreamingOutputCallRequest = _message("StreamingOutputCallRequest")
StreamingOutputCallResponse = _message("StreamingOutputCallResponse")


def zeros(size):
    return Payload(body=bytes(size))


def _serialize(message):
    return message.SerializeToString()


def _parser(descriptor):
    message = message_factory.GetMessageClass(descriptor)

    def parse(data):
        # No message begins like this: 0x1f is no field.
        was_compressed = data[:2] == b"\x1f\x8b"
        return Received(message.FromString(gzip.decompress(data) if was_compressed else data), was_compressed)

    return parse


def _shape(method):
    return f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"


class Stub:
    """The methods of a service, to be called; responses are Received."""

    def __init__(self, channel, service):
        for method in _pool.FindServiceByName(service).methods:
            call = getattr(channel, _shape(method))
            setattr(self, method.name, call(f"/{service}/{method.name}", _serialize, _parser(method.output_type)))


def handlers(service, implementations):
    """What a server needs to offer those methods of a service that are implemented; requests are Received."""
    methods = {}
    for method in _pool.FindServiceByName(service).methods:
        if implementation := implementations.get(method.name):
            make = getattr(grpc, f"{_shape(method)}_rpc_method_handler")
            methods[method.name] = make(implementation, _parser(method.input_type), _serialize)
    return grpc.method_handlers_generic_handler(service, methods)
