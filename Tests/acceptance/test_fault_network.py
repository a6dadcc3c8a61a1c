"""The network breaks while messages flow: nobody misses anything, nobody gets anything twice."""

import pytest

from support.history import assert_clean

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_connections_are_cut_again_and_again(launch, traffic, link, figure, reset):
    """Every 200 messages all connections end, those of clients, of readers and of senders."""
    server = launch.server().wait_ready()
    wire = link(server.port)
    room = traffic(server.address)
    room.read(), room.read(wire.address), room.read(wire.address)
    room.send(), room.send(wire.address)
    for _ in range(2):
        room.send_by(room.follow(launch.client(wire.address).wait_ready()))
    for _ in range(10):
        room.run(200)
        wire.break_connections(reset)
    figure(f"all connections cut ({'RST' if reset else 'FIN'}): everybody sends and gets again", f"{room.until_normal():.2f} s")
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps_told for reading in history.readings), "a gap was told where nothing was lost"
