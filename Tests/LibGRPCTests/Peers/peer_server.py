"""A server for the Swift client to call: grpcio's own, with methods whose messages are bytes.

Prints its port, then serves until its standard input ends.
"""

import sys
import threading
from concurrent import futures

import grpc
import program

program.end_within(300)

cancelled = threading.Event()


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("initial", "early"),))
    context.set_trailing_metadata((("echo", metadata.get("name", "none")), ("echo-bin", metadata.get("name-bin", b""))))
    if request.startswith(b"fail:"):
        context.abort(grpc.StatusCode.NOT_FOUND, request[5:].decode())
    if request.startswith(b"details:"):
        context.set_trailing_metadata((("grpc-status-details-bin", request[8:]),))
        context.abort(grpc.StatusCode.ABORTED, "see the details")
    if request == b"deadline":
        return str(round(context.time_remaining())).encode()
    if request == b"authority":
        return context._rpc_event.call_details.host  # grpcio has no public name for it
    return b"re: " + request


def stream(request, context):
    # The client may cancel as soon as it has the metadata.
    if request == b"endless":
        context.add_callback(cancelled.set)
    context.send_initial_metadata((("position", "here"),))
    if request == b"endless":
        cancelled.wait(30)
        return
    count, size = map(int, request.split())
    for index in range(count):
        yield str(index).encode().ljust(size, b".")
    context.set_trailing_metadata((("total", str(count)),))


def collect(requests, context):
    return b",".join(requests)


def chat(requests, context):
    for request in requests:
        yield b"re: " + request


def was_cancelled(request, context):
    return b"yes" if cancelled.wait(10) else b"no"


handlers = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "WasCancelled": grpc.unary_unary_rpc_method_handler(was_cancelled),
}
server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
server.stop(None)
program.end()
