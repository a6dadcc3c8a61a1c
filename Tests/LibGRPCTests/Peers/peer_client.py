"""Calls the Swift server with grpcio's own client and checks what comes back: peer_client.py PORT.

Every check is an assertion; the exit code is 0 if all hold.
"""

import sys
import threading
import time

import grpc
import program

program.end_within(300)

channel = grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}", options=[("grpc.max_receive_message_length", -1)])
unary = channel.unary_unary("/test.Echo/Unary")
stream = channel.unary_stream("/test.Echo/Stream")

collect = channel.stream_unary("/test.Echo/Collect")
chat = channel.stream_stream("/test.Echo/Chat")


def error_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call did not fail")


def metadata_both_ways():
    response, call = unary.with_call(b"metadata", metadata=(("name", "value"), ("raw-bin", b"\x00\xff\x80")))
    assert response == b"value [0, 255, 128]", response
    assert dict(call.initial_metadata())["initial"] == "early"
    assert dict(call.trailing_metadata())["trailing-bin"] == b"\x01\x00"


def messages_of_all_sizes():
    for size in (0, 1, 23, 24, 25, 8191, 8192, 16384, 65536, 1 << 20, 3 << 20):
        message = bytes(i * 7 % 256 for i in range(min(size, 4096))) * (size // 4096 or 1)
        assert unary(message) == message, size


def status_and_message():
    error = error_of(lambda: unary(b"fail"))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == "\t\n, Ünïcödé \N{snowman} & \U0001F642 %", repr(error.details())
    assert dict(error.trailing_metadata())["why"] == "because"
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == b"\x08\x09\x00"


def unknown_method():
    error = error_of(lambda: channel.unary_unary("/test.Echo/Missing")(b""))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
    assert error_of(lambda: channel.unary_stream("/no.Service/X")(b"").next()).code() == grpc.StatusCode.UNIMPLEMENTED


def stream_in_order():
    for count in (0, 1, 2, 1000):
        assert list(stream(str(count).encode())) == [str(i).encode() for i in range(count)]


def opening_is_visible():
    call = stream(b"endless")
    assert dict(call.initial_metadata())["position"] == "here"
    call.cancel()


def cancellation_reaches_the_handler():
    before = int(unary(b"cancelled"))
    calls = [stream(b"endless") for _ in range(20)]
    for call in calls:
        call.initial_metadata()
        call.cancel()
    deadline = time.monotonic() + 10
    while int(unary(b"cancelled")) < before + 20:
        assert time.monotonic() < deadline, "the handlers were not cancelled"


def deadlines():
    assert 50 < int(unary(b"deadline", timeout=60)) <= 60
    assert unary(b"deadline") == b"-1"
    before = int(unary(b"cancelled"))
    assert error_of(lambda: list(stream(b"endless", timeout=0.2))).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert error_of(lambda: unary(b"", timeout=-1)).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    deadline = time.monotonic() + 10
    while int(unary(b"cancelled")) < before + 1:
        assert time.monotonic() < deadline, "the handler outlived its deadline"


def many_at_once():
    futures = [unary.future(str(i).encode()) for i in range(2000)]
    assert [f.result() for f in futures] == [str(i).encode() for i in range(2000)]


def cancelled_at_every_point():
    for i in range(300):
        call = stream(b"100000")
        timer = threading.Timer(i / 30000, call.cancel)
        timer.start()
        try:
            for _ in call:
                pass
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.CANCELLED
        timer.join()
    for i in range(300):
        future = unary.future(b"x")
        future.cancel()


def a_message_too_large():
    error = error_of(lambda: unary(b"x" * (4 * 1024 * 1024 + 1)))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert unary(b"still there") == b"still there"


def compressed_requests():
    message = b"abc" * 10000
    assert unary(message, compression=grpc.Compression.Gzip) == message
    assert unary(message, compression=grpc.Compression.Deflate) == message


def client_streams():
    for count in (0, 1, 1000):
        assert collect(iter([str(i).encode() for i in range(count)])) == str(count).encode()


def ping_pong():
    sent = [str(i).encode() for i in range(500)]
    assert list(chat(iter(sent))) == [b"re: " + message for message in sent]
    turn = threading.Semaphore()

    def requests():
        for i in range(100):
            turn.acquire()
            yield str(i).encode()

    for i, response in enumerate(chat(requests())):
        assert response == b"re: " + str(i).encode()
        turn.release()


checks = [
    metadata_both_ways, messages_of_all_sizes, status_and_message, unknown_method, stream_in_order, opening_is_visible,
    cancellation_reaches_the_handler, deadlines, many_at_once, cancelled_at_every_point, a_message_too_large,
    compressed_requests, client_streams, ping_pong,
]
for check in checks:
    check()
    print(check.__name__, flush=True)
channel.close()
program.end()
