"""A client dies while messages flow."""

import pytest

from support.history import assert_clean

pytestmark = pytest.mark.fault


def test_a_client_is_killed_and_restarted(launch, traffic, figure):
    """kill -9, three times: its buffer is gone with it, but the next has all from its start; nobody else notices."""
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
