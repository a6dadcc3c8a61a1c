"""Runs gRPC's interop cases against the Swift server: interop_client.py PORT CASE,CASE...

Prints each case that passed. Every check is an assertion; the exit code is 0 if all hold.
"""

import queue
import random
import sys

import grpc
import program
from interop_messages import (
    AS_RECEIVED,
    BoolValue,
    EchoStatus,
    Empty,
    Payload,
    ResponseParameters,
    SimpleRequest,
    SimpleResponse,
    StreamingInputCallRequest,
    StreamingOutputCallRequest,
    Stub,
    zeros,
)

program.end_within(300)

target = f"127.0.0.1:{sys.argv[1]}"
channel = grpc.insecure_channel(target, options=AS_RECEIVED)
stub = Stub(channel, "grpc.testing.TestService")

large = {"response_size": 314159, "payload": zeros(271828)}
gzip = grpc.Compression.Gzip
yes, no = BoolValue(value=True), BoolValue(value=False)


def expect_status(code, call, message=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert message is None or error.details() == message, repr(error.details())
    else:
        raise AssertionError(f"the call did not end with {code}")


class Requests(queue.SimpleQueue):
    """Requests that are sent one by one; None half-closes."""

    def __next__(self):
        request = self.get()
        if request is None:
            raise StopIteration
        return request


def check_large(response):
    assert response == SimpleResponse(payload=zeros(314159))


def check_sizes(responses, sizes):
    assert [response.message.payload for response in responses] == [zeros(size) for size in sizes]


def empty_unary():
    response = stub.EmptyCall(Empty()).message
    assert response == Empty() and response.SerializeToString() == b""


def large_unary(stub=stub):
    check_large(stub.UnaryCall(SimpleRequest(**large)).message)


def client_streaming():
    sizes = (27182, 8, 1828, 45904)
    response = stub.StreamingInputCall(StreamingInputCallRequest(payload=zeros(size)) for size in sizes).message
    assert response.aggregated_payload_size == 74922


def server_streaming():
    sizes = (31415, 9, 2653, 58979)
    parameters = [ResponseParameters(size=size) for size in sizes]
    check_sizes(stub.StreamingOutputCall(StreamingOutputCallRequest(response_parameters=parameters)), sizes)


def ping_pong():
    requests = Requests()
    responses = stub.FullDuplexCall(requests)
    for response_size, size in ((31415, 27182), (9, 8), (2653, 1828), (58979, 45904)):
        parameters = [ResponseParameters(size=response_size)]
        requests.put(StreamingOutputCallRequest(response_parameters=parameters, payload=zeros(size)))
        check_sizes([next(responses)], [response_size])
    requests.put(None)
    assert list(responses) == []


def empty_stream():
    assert list(stub.FullDuplexCall(iter(()))) == []


def custom_metadata():
    initial, trailing = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
    metadata = ((initial, "test_initial_metadata_value"), (trailing, b"\xab\xab\xab"))

    def check(call):
        assert [value for key, value in call.initial_metadata() if key == initial] == [metadata[0][1]]
        assert [value for key, value in call.trailing_metadata() if key == trailing] == [metadata[1][1]]

    response, call = stub.UnaryCall.with_call(SimpleRequest(**large), metadata=metadata)
    check_large(response.message)
    check(call)

    parameters = [ResponseParameters(size=314159)]
    request = StreamingOutputCallRequest(response_parameters=parameters, payload=zeros(271828))
    call = stub.FullDuplexCall(iter([request]), metadata=metadata)
    check_sizes(call, [314159])
    check(call)


def status_code_and_message():
    status = EchoStatus(code=2, message="test status message")
    unknown = grpc.StatusCode.UNKNOWN
    expect_status(unknown, lambda: stub.UnaryCall(SimpleRequest(response_status=status)), status.message)
    requests = iter([StreamingOutputCallRequest(response_status=status)])
    expect_status(unknown, lambda: list(stub.FullDuplexCall(requests)), status.message)


def special_status_message():
    message = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    request = SimpleRequest(response_status=EchoStatus(code=2, message=message))
    expect_status(grpc.StatusCode.UNKNOWN, lambda: stub.UnaryCall(request), message)


def unimplemented_method():
    expect_status(grpc.StatusCode.UNIMPLEMENTED, lambda: stub.UnimplementedCall(Empty()))


def unimplemented_service():
    other = Stub(channel, "grpc.testing.UnimplementedService")
    expect_status(grpc.StatusCode.UNIMPLEMENTED, lambda: other.UnimplementedCall(Empty()))


def cancel_after_begin():
    requests = Requests()
    call = stub.StreamingInputCall.future(requests)
    call.cancel()
    requests.put(None)
    assert call.code() == grpc.StatusCode.CANCELLED, call.code()


def cancel_after_first_response():
    requests = Requests()
    call = stub.FullDuplexCall(requests)
    parameters = [ResponseParameters(size=31415)]
    requests.put(StreamingOutputCallRequest(response_parameters=parameters, payload=zeros(27182)))
    check_sizes([next(call)], [31415])
    call.cancel()
    expect_status(grpc.StatusCode.CANCELLED, lambda: next(call))
    requests.put(None)


def timeout_on_sleeping_server():
    requests = Requests()
    requests.put(StreamingOutputCallRequest(payload=zeros(27182)))
    call = stub.FullDuplexCall(requests, timeout=0.001)
    expect_status(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: next(call))
    requests.put(None)


def client_compressed_unary():
    request = SimpleRequest(expect_compressed=yes, **large)
    expect_status(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.UnaryCall(request))
    check_large(stub.UnaryCall(request, compression=gzip).message)
    check_large(stub.UnaryCall(SimpleRequest(expect_compressed=no, **large)).message)


def server_compressed_unary():
    for compressed in (yes, no):
        response = stub.UnaryCall(SimpleRequest(response_compressed=compressed, **large))
        check_large(response.message)
        assert response.was_compressed == compressed.value


def client_compressed_streaming():
    compressed = StreamingInputCallRequest(expect_compressed=yes, payload=zeros(27182))
    expect_status(grpc.StatusCode.INVALID_ARGUMENT, lambda: stub.StreamingInputCall(iter([compressed])))

    # A client of grpcio cannot switch compression off for one message of a call. But the core sends a message as it is
    # that would not become smaller: so not zeros here.
    payload = Payload(body=random.Random(0).randbytes(45904))
    uncompressed = StreamingInputCallRequest(expect_compressed=no, payload=payload)
    response = stub.StreamingInputCall(iter([compressed, uncompressed]), compression=gzip).message
    assert response.aggregated_payload_size == 73086


def server_compressed_streaming():
    parameters = [ResponseParameters(size=31415, compressed=yes), ResponseParameters(size=92653, compressed=no)]
    responses = list(stub.StreamingOutputCall(StreamingOutputCallRequest(response_parameters=parameters)))
    check_sizes(responses, [31415, 92653])
    assert [response.was_compressed for response in responses] == [True, False]


def rpc_soak():
    for _ in range(30):
        large_unary()


def channel_soak():
    for _ in range(10):
        with grpc.insecure_channel(target, options=AS_RECEIVED) as own:
            large_unary(Stub(own, "grpc.testing.TestService"))


for case in sys.argv[2].split(","):
    globals()[case]()
    print(case, flush=True)
channel.close()
program.end()
