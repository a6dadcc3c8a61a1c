"""The network breaks while messages flow: no message is lost, none arrives twice."""

import socket
from contextlib import ExitStack, closing

import pytest

from support.history import assert_clean
from support.http2 import PREFACE, Answering, Connection
from support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.history]


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_connections_are_cut_again_and_again(launch, traffic, link, figure, reset):
    """All connections break every 200 messages: those of clients, readers and senders."""
    server = launch.server().wait_ready()
    wire = link(server.port)
    room = traffic(server.address)
    room.read(), room.read(wire.address), room.read(wire.address)
    room.send(), room.send(wire.address)
    for _ in range(2):
        room.send_by(room.follow(launch.client(wire.address).wait_ready(), flushers=3))
    for _ in range(10):
        room.run(200)
        wire.break_connections(reset)
    how = "RST" if reset else "FIN"
    figure(f"all connections cut ({how}): everybody sends and gets again", f"{room.until_normal():.2f} s")
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings), "a gap was reported, but nothing was lost"


@pytest.fixture
def busy(launch, traffic):
    """A server under load, and its traffic."""
    server = launch.server().wait_ready()
    room = traffic(server.address)
    room.read(), room.send()
    room.send_by(room.follow(launch.client(server.address).wait_ready()))
    room.run(50)
    return server, room


def assert_untouched(server, room, file_descriptors: int) -> None:
    """No message was refused or lost, and the server has freed what the strangers used."""
    room.run(50)
    wait_until(lambda: server.file_descriptors() <= file_descriptors, "the strangers' connections are gone")
    history = room.finish()
    assert_clean(history)
    assert all(send.time for send in history.sends), "a message was not accepted"


def test_a_storm_of_reset_connections(busy, figure):
    """1,000 connections open a stream and reset at once: the traffic notices nothing, and nothing leaks."""
    server, room = busy
    before = server.file_descriptors(), server.resident_bytes()
    for _ in range(1_000):
        stranger = Connection(server.port)
        stranger.read_messages()
        stranger.reset()
    assert_untouched(server, room, before[0])
    figure("1,000 connections reset: memory kept", f"{(server.resident_bytes() - before[1]) / 1e6:.0f} MB")


def test_a_storm_of_reset_streams(busy, figure):
    """8,000 streams open and reset ("rapid reset"): the traffic notices nothing.

    The server may close the connection, if it sees more open streams at once than it allows. The stranger comes back.
    """
    server, room = busy
    before = server.file_descriptors(), server.resident_bytes()
    with ExitStack() as ending:

        def connect() -> Connection:
            connection = ending.enter_context(closing(Connection(server.port)))
            ending.callback(Answering([connection]).stop)
            return connection

        stranger = connect()
        for _ in range(8_000):
            try:
                stranger.read_messages(reset=True)
            except ConnectionError:
                stranger = connect()
        room.run(50)
    assert_untouched(server, room, before[0])
    # Free memory goes back to the system, a little later.
    wait_until(lambda: server.resident_bytes() < before[1] + 24_000_000, "the memory for the streams is given back")
    figure("8,000 streams reset: memory kept", f"{(server.resident_bytes() - before[1]) / 1e6:.0f} MB")


@pytest.mark.parametrize("greeting", [b"", PREFACE[:10], PREFACE], ids=["silence", "half a greeting", "a greeting"])
def test_half_open_connections(busy, greeting):
    """200 peers connect, send a few bytes and stop: the traffic notices nothing."""
    server, room = busy
    before = server.file_descriptors(), server.connections()
    strangers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for stranger in strangers:
        stranger.sendall(greeting)
    wait_until(lambda: server.connections() >= before[1] + 200, "they are connected")
    room.run(200)
    for stranger in strangers:
        stranger.close()
    assert_untouched(server, room, before[0])
