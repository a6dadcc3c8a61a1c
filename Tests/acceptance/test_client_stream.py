"""The client's stream begins at the right message. A bad server is called rarely and logged once."""

import time
from pathlib import Path

import grpc
import pytest

from support.api import connected, pb, stub, timestamp
from support.fakeserver import fake_server, until_cancelled
from support.room import collect
from support.waiting import wait_until

DAY = 86_400


def send(address: str, *texts: str) -> None:
    with connected(address) as channel:
        for text in texts:
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=30)


def texts_of(client) -> list[str]:
    return [message["text"] for message in client.http.flush()]


@pytest.fixture
def clock():
    """Settings for a program whose wall clock is this many seconds off."""
    # The library itself: `faketime` would be a process between the test and the program.
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if not library:
        pytest.skip("needs faketime")
    return lambda seconds: {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}s", "DONT_FAKE_MONOTONIC": "1"}


# MARK: the first position


@pytest.mark.parametrize("off", [-600, 600, -30 * DAY, 30 * DAY])
def test_a_client_with_a_wrong_clock(launch, clock, off):
    """It gets every message since its start, and none from before."""
    server = launch.server().wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    client = launch.client(server.address, **clock(off)).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


@pytest.mark.parametrize("off", [-600, 600])
def test_a_server_with_a_wrong_clock(launch, clock, off):
    """The same with the server's clock."""
    server = launch.server(**clock(off)).wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    client = launch.client(server.address).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


def test_a_clock_that_was_set_back_over_a_restart(launch, clock, tmp_path):
    """The history has times of tomorrow. A new client still gets no old messages."""
    history = {"MESSENGER_HISTORY": f"sqlite:{tmp_path / 'room.db'}"}
    server = launch.server(**clock(DAY), **history).wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    server.stop()
    server = launch.server(**history).wait_ready()
    send(server.address, "old 4")
    client = launch.client(server.address).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


def test_messages_before_the_first_stream_is_open(launch, link):
    """A client that cannot reach its server yet gets what is sent since the client's start, and nothing older."""
    server = launch.server().wait_ready()
    send(server.address, "old")
    wire = link(server.port)
    wire.cut()
    client = launch.client(wire.address).wait_live()
    send(server.address, "meanwhile 1", "meanwhile 2")
    wire.restore()
    client.wait_ready()
    send(server.address, "new")
    received = [message["text"] for message in collect(client.http, 3)]
    assert received == ["meanwhile 1", "meanwhile 2", "new"]


def test_messages_while_the_first_connection_hangs(launch, link):
    """The client asks again once it knows how long the connection took."""
    server = launch.server().wait_ready()
    send(server.address, "old")
    wire = link(server.port)
    wire.silence()
    client = launch.client(wire.address).wait_live()
    send(server.address, "meanwhile")
    time.sleep(0.5)  # The time that the connection takes: there is nothing to wait for.
    wire.restore()
    client.wait_ready()
    assert [message["text"] for message in collect(client.http, 1)] == ["meanwhile"]


@pytest.mark.parametrize("age", ["", "-1", "1.5", "1s", "99999999999999999999999", "0x1"])
def test_an_invalid_reader_age_is_refused(channel, age):
    """The error names the metadata key."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), metadata=[("messenger-reader-age", age)], timeout=30)
    with pytest.raises(grpc.RpcError) as error:
        next(call)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "messenger-reader-age" in error.value.details()


@pytest.mark.parametrize("age", ["0", "1", "9223372036854775807", "18446744073709551615"])
def test_any_reader_age_is_accepted(channel, age):
    """Zero, and more than there can be."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), metadata=[("messenger-reader-age", age)], timeout=30)
    assert "messenger-position" in dict(call.initial_metadata())
    call.cancel()


# MARK: streams that end at once


def ends(request, context):
    context.send_initial_metadata((("messenger-position", "2026-01-01T00:00:00.000000000Z"),))
    yield from ()


def fails(request, context):
    context.send_initial_metadata((("messenger-position", "2026-01-01T00:00:00.000000000Z"),))
    context.abort(grpc.StatusCode.UNAVAILABLE, "the file cannot be read")
    yield


def is_out_of_range(request, context):
    context.send_initial_metadata((("messenger-position", "2026-01-01T00:00:00.000000000Z"),))
    context.set_trailing_metadata((("messenger-held-after", "2026-01-01T00:00:00.000000000Z"),))
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "only messages after 2026-01-01T00:00:00.000000000Z are held")
    yield


def is_always_out_of_range(request, context):
    context.set_trailing_metadata((("messenger-held-after", "2026-01-01T00:00:00.000000000Z"),))
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "only messages after 2026-01-01T00:00:00.000000000Z are held")
    yield


def is_always_invalid(request, context):
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the position to read after lies in the future")
    yield


def repeats_one_message(request, context):
    yield pb.Message(author="Ivan", text="again", sendTime=timestamp(10**18))


@pytest.mark.parametrize(
    "read",
    [
        ends,
        pytest.param(fails, marks=pytest.mark.slow),
        pytest.param(is_out_of_range, marks=pytest.mark.slow),
        pytest.param(is_always_out_of_range, marks=pytest.mark.slow),
        pytest.param(is_always_invalid, marks=pytest.mark.slow),
        pytest.param(repeats_one_message, marks=pytest.mark.slow),
    ],
)
def test_backoff_between_short_streams(launch, read):
    """The client opens a stream 5 to 20 times in 5 s and logs each problem once. The backoff grows to one second."""
    with fake_server(read) as server:
        client = launch.client(server.address).wait_live()
        wait_until(lambda: server.requests, "the first stream")
        deadline = time.monotonic() + 5
        wait_until(lambda: time.monotonic() > deadline, "five seconds")
        calls = len(server.requests)
        assert 5 <= calls <= 20
        of_start = ("messenger-client: starting", "messenger-client: listening", "messenger-client: no token is needed")
        lines = [line for line in client.log().splitlines() if not any(text in line for text in of_start)]
        assert len(lines) <= 4, client.log()
        complaints = [line for line in lines if " info " not in line]
        assert 1 <= len(complaints) <= 2, client.log()


@pytest.mark.slow
def test_a_reason_that_changes_does_not_fill_the_log(launch):
    """The server gives a new reason for each stream. The client logs only a few of them."""
    numbers = iter(range(10**6))

    def read(request, context):
        context.abort(grpc.StatusCode.INTERNAL, f"request {next(numbers)} failed")
        yield

    with fake_server(read) as server:
        client = launch.client(server.address).wait_live()
        wait_until(lambda: len(server.requests) >= 8, "eight streams")
        assert len(client.log().splitlines()) <= 8


def test_recovery_is_logged_with_the_number_of_failures(launch):
    bad = iter(range(4))

    def read(request, context):
        context.send_initial_metadata((("messenger-position", "2026-01-01T00:00:00.000000000Z"),))
        if next(bad, None) is None:
            until_cancelled(context)
        yield from ()

    with fake_server(read) as server:
        client = launch.client(server.address).wait_live()
        wait_until(lambda: "failures=4" in client.log(), "the count")
        assert client.log().count("stream open") == 2 and client.log().count("stream broken") == 1


@pytest.mark.usefixtures("own_programs")
def test_an_unreadable_history_is_logged_once(launch, tmp_path):
    """The server logs one error, however many readers ask."""
    path = tmp_path / "room.db"
    settings = {"MESSENGER_HISTORY": f"sqlite:{path}", "MESSENGER_HISTORY_MESSAGES": 10}
    server = launch.server(**settings).wait_ready()
    send(server.address, "first")
    with connected(server.address) as channel:
        answer = stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="from here"), timeout=30)
        send(server.address, *[str(index) for index in range(100)])
        # What SQLite reads next is no page of its own.
        for name in (path, path.with_name("room.db-wal")):
            size = name.stat().st_size
            with open(name, "r+b") as file:
                file.seek(100)
                file.write(b"\xa5" * (size - 100))
        for _ in range(3):
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(after=answer.sendTime), timeout=30)
            with pytest.raises(grpc.RpcError) as error:
                for _ in call:
                    pass
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    assert server.log().count("the history cannot be read") == 1, server.log()
    server.kill()


# MARK: servers that are not ours


def message(index: int, nanoseconds: int | None = None):
    return pb.Message(author="Ivan", text=str(index), sendTime=timestamp(nanoseconds or 10**18 + index))


@pytest.mark.parametrize("says_something", [False, True])
def test_a_server_without_messenger_position(launch, says_something):
    """The stream counts as open before its first message, and no gap is reported."""

    def read(request, context):
        if says_something:
            context.send_initial_metadata((("x-other", "1"),))
        until_cancelled(context)
        yield from ()

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        assert texts_of(client) == []
        assert client.http.request("GET", "/readyz").json()["gaps"] == 0


@pytest.mark.parametrize("honours_after", [False, True])
def test_a_server_without_messenger_position_is_resumed(launch, honours_after):
    """The client resumes after its last message. Each message arrives once, even if the server ignores `after`."""
    rounds = iter(range(10**6))

    def read(request, context):
        number = next(rounds)
        after = request.after.seconds * 10**9 + request.after.nanos if request.HasField("after") else 0
        for index in range((number + 1) * 3):
            if not honours_after or 10**18 + index > after:
                yield message(index)
                if not honours_after:
                    yield message(index)
        if number == 2:
            until_cancelled(context)

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        assert [each["text"] for each in collect(client.http, 9)] == [str(index) for index in range(9)]
        assert not server.requests[0].HasField("after")
        assert all(request.HasField("after") for request in server.requests[1:])
        ready = client.http.request("GET", "/readyz").json()
        assert ready["gaps"] == 0 and ready["received"] == 9


def test_a_server_whose_clock_is_coarse(launch):
    """Several messages with the same time are different messages."""

    def read(request, context):
        for index in range(6):
            yield message(index, 10**18 + index // 3 * 10**9)
        until_cancelled(context)

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        assert [each["text"] for each in collect(client.http, 6)] == [str(index) for index in range(6)]


# MARK: names


@pytest.mark.parametrize("host", ["localhost.", "LOCALHOST", "127.0.0.1", "[::ffff:127.0.0.1]"])
def test_names_of_the_local_host(launch, host):
    server = launch.server().wait_ready()
    launch.client(f"{host}:{server.port}").wait_ready()


@pytest.mark.parametrize(
    "host", ["dns", "unix", "unix-abstract", "ipv4", "ipv6", "xds", "vsock", "google-c2p", "DNS", "Unix", "my_server"]
)
def test_a_host_named_like_a_scheme(launch, host):
    """The client looks it up as a host, and says that it does not resolve."""
    client = launch.client(f"{host}:51075").wait_live()
    wait_until(lambda: "stream not open yet" in client.log(), "the reason", within=60)
    line = next(line for line in client.log().splitlines() if "stream not open yet" in line)
    assert f"{host}:51075" in line and "esol" in line, line
