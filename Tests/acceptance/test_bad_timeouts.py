"""A call's grpc-timeout in every form, as bytes over a socket: what is none counts as none, and no call is left behind."""

import pytest

from support.api import connected, pb, send_raw
from support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, call_headers, field, frame
from support.raw import grpc_message, outcome

OK, DEADLINE_EXCEEDED = 0, 4

REQUEST = pb.SendMessageRequest(author="Ivan", text="hey").SerializeToString()
#: A ReadMessagesRequest without a position.
EMPTY = b""


def call(method: str, request: bytes, *timeouts: str) -> bytes:
    heads = call_headers(method) + b"".join(field("grpc-timeout", timeout) for timeout in timeouts)
    return frame(HEADERS, END_HEADERS, 1, heads) + frame(DATA, END_STREAM, 1, grpc_message(request))


@pytest.mark.parametrize("timeout", ["5S", "1H", "99999999m", "99999999n", "99999999H"])
def test_time_enough(port, timeout):
    """Up to the longest that gRPC allows, which is 11,000 years."""
    assert outcome(port, call("SendMessage", REQUEST, timeout)).status == OK


@pytest.mark.parametrize("timeout", ["0n", "0u", "0m", "0S", "0M", "0H", "00000000S"])
@pytest.mark.parametrize(("method", "request_"), [("SendMessage", REQUEST), ("ReadMessages", EMPTY)])
def test_no_time(port, method, request_, timeout):
    assert outcome(port, call(method, request_, timeout)).status == DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["1n", "999n", "1u"])
def test_hardly_any_time(port, timeout):
    """The core rounds it up to a millisecond, in which a message may be accepted or not; a stream is not over by then."""
    assert outcome(port, call("SendMessage", REQUEST, timeout)).status in (OK, DEADLINE_EXCEEDED)
    assert outcome(port, call("ReadMessages", EMPTY, timeout)).status == DEADLINE_EXCEEDED


@pytest.mark.parametrize("timeout", ["20m", "20000u", "20000000n"])
def test_a_stream_ends_with_its_time(port, timeout):
    assert outcome(port, call("ReadMessages", EMPTY, timeout)).status == DEADLINE_EXCEEDED


MALFORMED = ["", "soon", "S", "5", "5s", "5X", "5SS", "5 S", "5.5S", "+5S", "-1S", "0x5S", "5S5", "999999999999S", "0"]


@pytest.mark.parametrize("timeout", MALFORMED)
def test_a_time_that_is_none(port, timeout):
    """As if there were none: the call is not refused, and a stream goes on until its client ends it."""
    assert outcome(port, call("SendMessage", REQUEST, timeout)).status == OK
    with pytest.raises(TimeoutError):
        outcome(port, call("ReadMessages", EMPTY, timeout), within=0.05)


def test_two_times(port):
    """The last one counts."""
    assert outcome(port, call("SendMessage", REQUEST, "5S", "0n")).status == DEADLINE_EXCEEDED
    assert outcome(port, call("SendMessage", REQUEST, "0n", "5S")).status == OK


def test_nothing_is_left_of_calls_whose_time_is_up(launch):
    """More of them than may be open: none is open still."""
    server = launch.server(MESSENGER_MAX_CALLS=3).wait_ready()
    for timeout in ["0n", "1n", "1m"] * 10:
        assert outcome(server.port, call("ReadMessages", EMPTY, timeout)).status == DEADLINE_EXCEEDED
    with connected(server.address) as channel:
        send_raw(channel, REQUEST)
    server.stop()
    assert "openCalls=0" in server.log()
