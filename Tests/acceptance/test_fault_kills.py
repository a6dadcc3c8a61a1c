"""Programs are killed or stopped while messages flow. What is lost is announced, all else arrives."""

import signal

import pytest

from support.history import assert_clean

pytestmark = [pytest.mark.fault, pytest.mark.history]


def test_the_server_is_killed_and_restarted(launch, traffic, figure):
    """kill -9, three times: messages that no reader had are lost and announced as a gap. All others arrive."""
    server = launch.server().wait_ready()
    room = traffic(server.address)
    for _ in range(2):
        room.read()
        room.send_by(room.follow(launch.client(server.address).wait_ready(), flushers=2), pace=0.01)
        room.send(pace=0.01)
    for _ in range(3):
        # Four senders at that pace take two seconds or more, of which a kill excuses the last one.
        room.run(800)
        server.kill()
        room.server_killed()
        server = launch.server(port=server.port).wait_ready()
        figure("server killed (kill -9) and restarted: everybody sends and gets again", f"{room.until_normal():.2f} s")
    room.run(300)
    assert_clean(room.finish())


def test_the_server_is_stopped_under_load(launch, traffic, figure):
    """SIGTERM while eight send as fast as they can: every acknowledged message reaches every open stream.

    A history that survives restarts has no gap here.
    """
    server = launch.server().wait_ready()
    room = traffic(server.address)
    followers = [room.follow(launch.client(server.address).wait_ready()) for _ in range(2)]
    for follower in followers:
        room.read()
        room.send_by(follower, pace=0)
    for _ in range(6):
        room.send(pace=0)
    room.run(1_000)
    took = server.stop(signal.SIGTERM)
    room.server_stopped()
    figure("server stopped (SIGTERM) in a storm: ends with exit code 0", f"{took:.2f} s")
    # Every stream got its end; the server did not have to cancel what was left after its 3 s of grace.
    assert took < 3
    server = launch.server(port=server.port).wait_ready()
    figure("server stopped and restarted: everybody sends and gets again", f"{room.until_normal():.2f} s")
    assert_clean(room.finish())


def test_a_client_is_killed_and_restarted(launch, traffic, figure):
    """kill -9, three times: its buffer is lost, but the next client gets all messages since its start."""
    server = launch.server().wait_ready()
    room = traffic(server.address)
    room.read()
    room.send_by(room.follow(launch.client(server.address).wait_ready()))
    client = launch.client(server.address).wait_ready()
    for _ in range(3):
        reader = room.follow(client)
        sender = room.send_by(reader)
        room.run(200)
        client.kill()
        room.leave(sender, reader)
        room.run(100)
        client = launch.client(server.address, port=client.port).wait_ready()
    room.send_by(room.follow(client))
    figure("client killed (kill -9) and restarted: sends and gets again", f"{room.until_normal():.2f} s")
    room.run(200)
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings)
