"""gRPC's interop test service on grpcio, for the Swift client to call.

Prints its port, then serves until its standard input ends.
"""

import sys
from concurrent import futures

import grpc
import program
from interop_messages import (
    AS_RECEIVED,
    Empty,
    SimpleResponse,
    StreamingInputCallResponse,
    StreamingOutputCallResponse,
    handlers,
    zeros,
)

program.end_within(300)

codes = {code.value[0]: code for code in grpc.StatusCode}


def echo_metadata(context):
    metadata = dict(context.invocation_metadata())
    if (key := "x-grpc-test-echo-trailing-bin") in metadata:
        context.set_trailing_metadata(((key, metadata[key]),))
    if (key := "x-grpc-test-echo-initial") in metadata:
        context.send_initial_metadata(((key, metadata[key]),))


def check_compression(request, context):
    """Both ways round, which is more than the definition asks: "not compressed" is checked too."""
    message, was_compressed = request
    if message.HasField("expect_compressed") and message.expect_compressed.value != was_compressed:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request's being compressed is {was_compressed}")


def end_with_status(message, context):
    if message.HasField("response_status"):
        context.abort(codes[message.response_status.code], message.response_status.message)


def empty_call(request, context):
    return Empty()


def unary_call(request, context):
    check_compression(request, context)
    if request.message.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    end_with_status(request.message, context)
    return SimpleResponse(payload=zeros(request.message.response_size))


def streaming_input_call(requests, context):
    size = 0
    for request in requests:
        check_compression(request, context)
        size += len(request.message.payload.body)
    return StreamingInputCallResponse(aggregated_payload_size=size)


def full_duplex_call(requests, context):
    context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    for message, _ in requests:
        end_with_status(message, context)
        for parameters in message.response_parameters:
            if not parameters.compressed.value:
                context.disable_next_message_compression()
            yield StreamingOutputCallResponse(payload=zeros(parameters.size))


def streaming_output_call(request, context):
    yield from full_duplex_call([request], context)


implementations = {
    "EmptyCall": empty_call,
    "UnaryCall": unary_call,
    "StreamingInputCall": streaming_input_call,
    "StreamingOutputCall": streaming_output_call,
    "FullDuplexCall": full_duplex_call,
}
server = grpc.server(futures.ThreadPoolExecutor(8), options=AS_RECEIVED)
server.add_generic_rpc_handlers((handlers("grpc.testing.TestService", implementations),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
program.end()
