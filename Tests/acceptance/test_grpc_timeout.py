"""The server ends a call at the deadline of its grpc-timeout header, however that is written.

(Core 1.51 treats most spellings that gRPC does not know as no limit. The tests show that as it is.)
"""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from support.api import connected, pb, reading
from support.calls import Calls
from support.launcher import Launcher
from support.raw import grpc_message
from support.room import unique

OK, DEADLINE_EXCEEDED = 0, 4

#: The server's limit: if so many calls fit in, no other is open.
MAX_CALLS = 8

#: The time by which a call that has no limit is seen to outlive one that has.
MOMENT = "100m"


@pytest.fixture(scope="module")
def server(own_programs) -> Iterator:
    launcher = Launcher()
    yield launcher.server(MESSENGER_MAX_CALLS=MAX_CALLS).wait_ready()
    launcher.close()


@pytest.fixture
def calls(server) -> Iterator[Calls]:
    """A connection on which a call still works at the end, when no call is open."""
    with closing(Calls(server.port)) as calls:
        yield calls
        # The server may not have cleared away the last calls yet.
        calls.wait_accepted(message("after all"))
        calls.wait_room(MAX_CALLS)


def message(author: str) -> bytes:
    return grpc_message(pb.SendMessageRequest(author=author, text="hey").SerializeToString())


# What the field says, once or several times, and the seconds after which it ends a call.
LIMITED = {
    "nothing left": (["0n"], 0),
    "no hours": (["0H"], 0),
    "no seconds, in eight digits": (["00000000S"], 0),
    "a nanosecond, which the core takes for a millisecond": (["1n"], 0.001),
    "a microsecond, too": (["1u"], 0.001),
    "milliseconds": (["100m"], 0.1),
    "microseconds": (["100000u"], 0.1),
    "the most nanoseconds": (["99999999n"], 0.099),
    "seconds": (["1S"], 1),
    "a digit too many": (["100000000n"], 0.1),
    "zeros too many": (["00000000000000000100m"], 0.1),
    "a blank before": ([" 100m"], 0.1),
    "a blank after": (["100m "], 0.1),
    "a blank within": (["100 m"], 0.1),
    "twice, the last one counts": (["5S", "100m"], 0.1),
    "after one that is none": (["soon", "100m"], 0.1),
}

# What is longer than we wait for, and what is no time: it counts as none.
ENDLESS = {
    "absent": [],
    "five seconds": ["5S"],
    "a minute": ["1M"],
    "an hour": ["1H"],
    "the most seconds": ["99999999S"],
    "the most there is": ["99999999H"],
    "digits too many": ["999999999999H"],
    "more than 32 bits": ["4294967297n"],
    "more than 64 bits": ["18446744073709551617n"],
    "sixty digits": ["9" * 60 + "n"],
    "empty": [""],
    "a blank": [" "],
    "no number": ["n"],
    "no unit": ["0"],
    "an unknown unit": ["0x"],
    "a unit in capitals": ["0N"],
    "two units": ["0nn"],
    "two numbers": ["0n0n"],
    "negative": ["-1n"],
    "with a plus": ["+0n"],
    "a fraction": ["0.0S"],
    "in hexadecimal": ["0x0n"],
    "a tab before": ["\t0n"],
    "a tab after": ["0n\t"],
    "U+0000 after": ["0n\0"],
    "a list": ["0n, 0n"],
    "a word": ["soon"],
    "twice, the last one counts": ["0n", "5S"],
    "before one that is none": ["0n", "soon"],
}


@pytest.mark.parametrize(("timeouts", "seconds"), LIMITED.values(), ids=LIMITED)
def test_a_call_ends_at_its_deadline(calls, timeouts, seconds):
    """Not earlier: a stream, and a call without its message."""
    began = time.monotonic()
    stream = calls.begin("ReadMessages", grpc_message(b""), end=True, timeouts=timeouts)
    send = calls.begin("SendMessage", timeouts=timeouts)
    for call in stream, send:
        assert calls.wait_status(call, within=seconds + 10) == DEADLINE_EXCEEDED
        # The core's clock goes in milliseconds.
        assert time.monotonic() - began > seconds - 0.005


@pytest.mark.parametrize("timeouts", ENDLESS.values(), ids=ENDLESS)
def test_a_call_without_a_deadline_continues(calls, timeouts):
    """A stream, and a call whose message arrives late."""
    stream = calls.begin("ReadMessages", grpc_message(b""), end=True, timeouts=timeouts)
    send = calls.begin("SendMessage", timeouts=timeouts)
    limited = calls.begin("ReadMessages", grpc_message(b""), end=True, timeouts=[MOMENT])
    assert calls.wait_status(limited) == DEADLINE_EXCEEDED
    assert calls.got(stream).bytes == 0
    calls.say(send, message("late"))
    assert calls.wait_status(send) == OK
    calls.wait_bytes(stream, at_least=len(message("late")))
    assert calls.status(stream) is None
    calls.cancel(stream)


@pytest.mark.parametrize("timeout", ["0n", "0H", "00000000S"])
def test_a_send_at_its_deadline(server, calls, timeout):
    """The sender gets DEADLINE_EXCEEDED. The message is accepted once or not at all."""
    author = unique("late")
    with connected(server.address) as channel, reading(channel) as reader:
        for _ in range(10):
            send = calls.begin("SendMessage", message(author), end=True, timeouts=[timeout])
            assert calls.wait_status(send) == DEADLINE_EXCEEDED
        calls.wait_room(MAX_CALLS - 1)
        calls.wait_accepted(message("marker"))
        authors = []
        while "marker" not in authors:
            authors.append(reader.take(1)[0].author)
        assert len(authors) <= 11 and set(authors) <= {author, "marker"}


def test_many_calls_past_their_deadline(calls):
    """Each ends with the same status, also if they arrive together."""
    for _ in range(20):
        streams = [calls.begin("ReadMessages", grpc_message(b""), end=True, timeouts=["0n"]) for _ in range(100)]
        assert {calls.wait_status(stream) for stream in streams} == {DEADLINE_EXCEEDED}


# A stream that is open, and calls whose message does not come, so that they never reach a handler.
@pytest.mark.parametrize(
    ("method", "said"), [("ReadMessages", grpc_message(b"")), ("ReadMessages", b""), ("SendMessage", b"")]
)
def test_a_call_ends_once(calls, method, said):
    """Nothing follows the end of a stream. HTTP/2 forbids it, and a client may close the connection."""
    streams = [calls.begin(method, said, end=bool(said), timeouts=["10m"]) for _ in range(5)]
    assert {calls.wait_status(stream) for stream in streams} == {DEADLINE_EXCEEDED}
    # Whatever comes after the ends is there by the time that another call has ended.
    assert calls.wait_status(calls.begin("ReadMessages", grpc_message(b""), True, [MOMENT])) == DEADLINE_EXCEEDED
    assert [calls.statuses(stream) for stream in streams] == [[DEADLINE_EXCEEDED]] * len(streams)
