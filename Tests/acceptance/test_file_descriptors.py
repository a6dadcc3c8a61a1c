"""File descriptors: the programs use all they may, and strangers cannot take the last ones."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from support import usage
from support.api import connected, pb, reading, stub
from support.history import assert_clean
from support.processes import Program, free_port, one_line
from support.redis import Redis
from support.tls import SERVER, credentials
from support.waiting import wait_until

FULL = "no room for another connection"


def limits(program: Program) -> tuple[str, str]:
    """The soft and the hard limit of the program's file descriptors."""
    for line in Path(f"/proc/{program.pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return tuple(line.split()[3:5])
    raise AssertionError("no limit")


@pytest.mark.parametrize("name", ["messenger-server", "messenger-client"])
def test_the_soft_limit_is_raised(launch, name):
    """A soft limit below the hard one is raised to it."""
    runner = ["sh", "-c", 'ulimit -Sn 100 && ulimit -Hn 900 && exec "$@"', "sh"]
    settings = {"MESSENGER_SERVER_PORT": 0, "MESSENGER_HTTP_PORT": 0}
    program = launch.program(name, runner=runner, **settings)
    wait_until(lambda: "listening" in program.log(), "it listens")
    assert limits(program) == ("900", "900")


@pytest.mark.parametrize("name", ["messenger-server", "messenger-client"])
@pytest.mark.parametrize("limit", [12, 16, 20, 24, 32, 40])
def test_too_few_file_descriptors(launch, name, limit):
    """A program that could not even start its event loops ends with one line."""
    line = one_line(launch.program(name, file_descriptors=limit), 69)
    assert f"is {limit}," in line and "ulimit -n" in line


def test_the_start_warns_of_too_few_file_descriptors(launch):
    """If MESSENGER_MAX_CONNECTIONS is more than the server can have, it logs how many it can."""
    possible = 1000 - min(500, 128 + 6 * os.cpu_count())
    server = launch.server(file_descriptors=1000, MESSENGER_MAX_CONNECTIONS=possible + 1).wait_ready()
    wait_until(lambda: f" connections={possible}\n" in server.log(), "it says so")
    assert "MESSENGER_MAX_CONNECTIONS" in server.log()
    enough = launch.server(file_descriptors=1000, MESSENGER_MAX_CONNECTIONS=possible).wait_ready()
    wait_until(lambda: "listening" in enough.log(), "it listens")
    assert "MESSENGER_MAX_CONNECTIONS" not in enough.log()


def test_the_server_keeps_descriptors_for_redis(launch):
    """400 silent connections at `ulimit -n 256`: the server reconnects to Redis, and logs once that it is full."""
    redis = Redis(free_port())
    try:
        server = launch.server(file_descriptors=256, MESSENGER_HISTORY=redis.location()).wait_ready()
        with ExitStack() as strangers, connected(server.address) as channel, reading(channel) as reader:
            for _ in range(400):
                strangers.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
            wait_until(lambda: FULL in server.log(), "strangers have all that they get")
            redis.kill()
            redis.start()

            def sent() -> bool:
                try:
                    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"), timeout=5)
                except grpc.RpcError as error:
                    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error
                    return False
                return True

            wait_until(sent, "the server has found Redis again", within=30)
            assert reader.take(1)[0].text == "hey"
            assert server.log().count(FULL) == 1
    finally:
        redis.close()


def test_the_client_keeps_descriptors_for_its_server(launch):
    """400 silent HTTP connections at `ulimit -n 256`: the client still reconnects to its server by name."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, file_descriptors=256).wait_ready()
    with client.http.connection() as kept, ExitStack() as strangers:
        kept.send("Ivan", "before")
        for _ in range(400):
            stranger = strangers.enter_context(socket.socket())
            # Those for whom there is no room in the queue either are not waited for.
            stranger.setblocking(False)
            stranger.connect_ex(("127.0.0.1", client.port))
        wait_until(lambda: usage.connections(client.port) >= 100, "strangers have their half")
        server.stop()
        launch.server(port=server.port).wait_ready()
        wait_until(lambda: kept.request("GET", "/readyz").status == 200, "the client's stream is open again")
        kept.send("Ivan", "after")


LIMIT = 64


def occupy(stack: ExitStack, port: int, count: int = 2 * LIMIT) -> None:
    """Connects more often than the program may have file descriptors; the connections end with the stack."""
    for _ in range(count):
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))


def accepts(address: str, security: grpc.ChannelCredentials | None = None) -> bool:
    """Whether a new connection to the server gets an answer."""
    with connected(address, security) as channel:
        try:
            call = stub(channel).ReadMessages(pb.ReadMessagesRequest(), timeout=2)
            return "messenger-position" in dict(call.initial_metadata())
        except grpc.RpcError:
            return False


@pytest.mark.fault
def test_the_server_has_no_file_descriptors_left(launch, traffic, figure):
    """`ulimit -n 64`: streams and senders continue, retries use no CPU, and the server later accepts again."""
    server = launch.server(file_descriptors=LIMIT).wait_ready()
    room = traffic(server.address)
    room.read()
    follower = room.follow(launch.client(server.address).wait_ready())
    with ExitStack() as strangers:
        occupy(strangers, server.port)
        wait_until(lambda: FULL in server.log(), "strangers have all that they get")
        used = server.cpu_seconds()
        time.sleep(1)  # the measurement itself, not a wait for something
        assert server.cpu_seconds() - used < 0.3, "trying to accept takes a processor"
        room.send_by(follower)
        room.run(200)
    began = time.monotonic()
    wait_until(lambda: accepts(server.address), "new connections are taken", within=10)
    figure("server without file descriptors: accepts again when there are", f"{time.monotonic() - began:.2f} s")
    room.send()
    assert_clean(room.finish())


@pytest.mark.fault
@pytest.mark.parametrize("way", ["TLS", "unix"])
def test_other_ways_to_a_server_without_file_descriptors(launch, tmp_path, way):
    """The same with TLS and on the unix socket."""
    path = tmp_path / "socket"
    settings = SERVER if way == "TLS" else {"MESSENGER_SERVER_SOCKET": path}
    server = launch.server(file_descriptors=LIMIT, **settings).wait_ready()
    address, security = (server.address, credentials()) if way == "TLS" else (f"unix:{path}", None)
    with ExitStack() as strangers, connected(address, security) as channel, reading(channel) as reader:
        occupy(strangers, server.port)
        wait_until(lambda: FULL in server.log(), "strangers have all that they get")
        assert not accepts(address, security)
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"))
        assert reader.take(1)[0].text == "hey"
    wait_until(lambda: accepts(address, security), "new connections are taken", within=10)


@pytest.mark.fault
def test_the_client_has_no_file_descriptors_left(launch, traffic):
    """The same for the client's HTTP port: its stream and open connections continue."""
    server = launch.server().wait_ready()
    client = launch.client(server.address, file_descriptors=LIMIT).wait_ready()
    room = traffic(server.address)
    room.send_by(room.follow(client))
    room.run(50)
    with ExitStack() as strangers:
        occupy(strangers, client.port)
        room.run(200)
        # It keeps some for itself: strangers wait to be accepted.
        assert client.file_descriptors() < LIMIT
    wait_until(lambda: client.http.request("GET", "/readyz").status == 200, "new connections are taken", within=10)
    assert_clean(room.finish())
