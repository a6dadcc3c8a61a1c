"""Promise 7: the client's stream begins at the right message, and a bad server is asked seldom and named once."""

import shutil
import subprocess
import time

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
    faketime = shutil.which("faketime")
    if not faketime:
        pytest.skip("needs faketime")
    # The library itself: `faketime` would be a process between the test and the program.
    command = [faketime, "-f", "+0", "sh", "-c", 'echo "$LD_PRELOAD"']
    library = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return lambda seconds: {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}s", "DONT_FAKE_MONOTONIC": "1"}


# --- the first position ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [-600, 600, -30 * DAY, 30 * DAY])
def test_a_client_with_a_wrong_clock_gets_what_is_new(launch, clock, off):
    """No message from before its start, and every later one, however wrong its clock is."""
    server = launch.server().wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    client = launch.client(server.address, **clock(off)).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


@pytest.mark.parametrize("off", [-600, 600])
def test_a_server_with_a_wrong_clock(launch, clock, off):
    """The same where it is the server's clock."""
    server = launch.server(**clock(off)).wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    client = launch.client(server.address).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


def test_a_clock_that_was_set_back_over_a_restart(launch, clock, tmp_path):
    """A history with times of tomorrow: still nothing old."""
    history = {"MESSENGER_HISTORY": f"sqlite:{tmp_path / 'room.db'}"}
    server = launch.server(**clock(DAY), **history).wait_ready()
    send(server.address, "old 1", "old 2", "old 3")
    server.stop()
    server = launch.server(**history).wait_ready()
    send(server.address, "old 4")
    client = launch.client(server.address).wait_ready()
    send(server.address, "new")
    assert [message["text"] for message in collect(client.http, 1)] == ["new"]


def test_what_is_sent_before_the_first_stream_is_open(launch, link):
    """A client that runs while its network does not lead to the server yet gets what is sent meanwhile, and nothing older."""
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


def test_what_is_sent_while_the_first_connection_is_being_made(launch, link):
    """The same while the connection hangs: the client asks again when it knows how long that took."""
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
def test_an_age_that_is_none(channel, age):
    """A reader that says a senseless age gets a sentence that names the key."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), metadata=[("messenger-reader-age", age)], timeout=30)
    with pytest.raises(grpc.RpcError) as error:
        next(call)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "messenger-reader-age" in error.value.details()


@pytest.mark.parametrize("age", ["0", "1", "9223372036854775807", "18446744073709551615"])
def test_any_age_is_taken(channel, age):
    """From none to more than there can be."""
    call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), metadata=[("messenger-reader-age", age)], timeout=30)
    assert "messenger-position" in dict(call.initial_metadata())
    call.cancel()


# --- streams that end at once ------------------------------------------------------------------------------------------


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
    "read", [ends, fails, is_out_of_range, is_always_out_of_range, is_always_invalid, repeats_one_message]
)
def test_a_stream_that_ends_at_once_is_opened_less_and_less_often(launch, read):
    """In five seconds a dozen calls, not a hundred, and each thing is said once. Five seconds: the backoff goes up to one."""
    with fake_server(read) as server:
        client = launch.client(server.address).wait_live()
        wait_until(lambda: server.requests, "the first stream")
        deadline = time.monotonic() + 5
        wait_until(lambda: time.monotonic() > deadline, "five seconds")
        calls = len(server.requests)
        assert 5 <= calls <= 20
        lines = client.log().splitlines()
        assert len(lines) <= 6, client.log()
        complaints = [line for line in lines if " info " not in line]
        assert 1 <= len(complaints) <= 2, client.log()


def test_a_reason_that_changes_does_not_fill_the_log(launch):
    """A server that gives each stream a reason of its own is named a few times."""
    numbers = iter(range(10**6))

    def read(request, context):
        context.abort(grpc.StatusCode.INTERNAL, f"request {next(numbers)} failed")
        yield

    with fake_server(read) as server:
        client = launch.client(server.address).wait_live()
        wait_until(lambda: len(server.requests) >= 8, "eight streams")
        assert len(client.log().splitlines()) <= 8


def test_the_end_of_trouble_is_written_with_its_count(launch):
    """When the stream lives again the log says so, and how often it had failed."""
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


@pytest.mark.usefixtures("ours")
def test_a_history_that_cannot_be_read_is_the_servers_trouble(launch, tmp_path):
    """The server writes one error, however often it is asked; the client one warning."""
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


# --- servers that are not ours -----------------------------------------------------------------------------------------


def message(index: int, nanoseconds: int | None = None):
    return pb.Message(author="Ivan", text=str(index), sendTime=timestamp(nanoseconds or 10**18 + index))


@pytest.mark.parametrize("says_something", [False, True])
def test_a_server_that_says_no_position(launch, says_something):
    """A stream without our metadata counts as open, before anything is said in it, and nobody speaks of lost messages."""

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
def test_a_server_that_says_no_position_is_resumed_by_the_last_message(launch, honours_after):
    """After a break the request has the last message's time; whether the server heeds it or not, each message comes once."""
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
    """Several messages with one time are several messages."""

    def read(request, context):
        for index in range(6):
            yield message(index, 10**18 + index // 3 * 10**9)
        until_cancelled(context)

    with fake_server(read) as server:
        client = launch.client(server.address).wait_ready()
        assert [each["text"] for each in collect(client.http, 6)] == [str(index) for index in range(6)]


# --- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost.", "LOCALHOST", "127.0.0.1", "[::ffff:127.0.0.1]"])
def test_names_of_this_machine(launch, host):
    server = launch.server().wait_ready()
    launch.client(f"{host}:{server.port}").wait_ready()


@pytest.mark.parametrize(
    "host", ["dns", "unix", "unix-abstract", "ipv4", "ipv6", "xds", "vsock", "google-c2p", "DNS", "Unix", "my_server"]
)
def test_a_host_named_like_a_scheme(launch, host):
    """It is looked up as a host: the client says that it does not resolve, not that the address is none."""
    client = launch.client(f"{host}:51075").wait_live()
    wait_until(lambda: "stream not open yet" in client.log(), "the reason", within=60)
    line = next(line for line in client.log().splitlines() if "stream not open yet" in line)
    assert f"{host}:51075" in line and "esol" in line, line
