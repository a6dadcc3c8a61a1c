"""Faults that only a timeout notices: frozen programs, cut cables, half-sent requests. They run side by side.

A scenario is a function of a `Stage`, which runs on its own thread.
"""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import pytest

from support.history import assert_clean
from support.http2 import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, call_headers, frame
from support.launcher import Launcher
from support.processes import Client
from support.proxy import CuttableLink
from support.slow import IN_THE_BODY, IN_THE_HEAD, SlowSenders
from support.tls import SERVER
from support.traffic import Traffic
from support.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.history]

#: Whoever is silent is taken for dead after this many seconds, at the most.
NOTICED = 30


@dataclass
class Stage:
    """The programs, networks and traffic of a scenario; it ends with them."""

    launch: Launcher
    figure: Callable[[str, str], None]
    ending: ExitStack = field(default_factory=ExitStack)

    def link(self, target: int) -> CuttableLink:
        return self.ending.enter_context(closing(CuttableLink(target)))

    def traffic(self, server: str) -> Traffic:
        return self.ending.enter_context(closing(Traffic(server)))


def is_ready(client: Client) -> bool:
    return client.http.request("GET", "/readyz").status == 200


def server_frozen(stage: Stage) -> None:
    """SIGSTOP for 40 s: clients are not ready, requests fail in bounded time. Then all continue without a loss."""
    server = stage.launch.server().wait_ready()
    room = stage.traffic(server.address)
    clients = [stage.launch.client(server.address).wait_ready() for _ in range(2)]
    by_http = [room.send_by(room.follow(client), pace=0.05) for client in clients]
    room.read(), room.send(pace=0.05)
    room.run(100)
    frozen = time.monotonic()
    server.freeze()
    wait_until(lambda: not any(is_ready(client) for client in clients), "both clients notice", within=NOTICED)
    stage.figure("server frozen: the clients' /readyz says 503", f"{time.monotonic() - frozen:.1f} s")
    time.sleep(max(0.0, frozen + 40 - time.monotonic()))  # the fault itself
    server.thaw()
    stage.figure("server thawed after 40 s: everybody sends and gets again", f"{room.until_normal():.2f} s")
    room.run(100)
    slowest = max(sender.slowest for sender in by_http)
    stage.figure("server frozen for 40 s: the longest that a POST /sendMessage took", f"{slowest:.1f} s")
    assert slowest < 20
    finish_without_gaps(room)


def client_frozen(stage: Stage) -> None:
    """SIGSTOP for 40 s: the server ends its stream. Then the client gets what was sent meanwhile."""
    server = stage.launch.server().wait_ready()
    room = stage.traffic(server.address)
    sleeper = stage.launch.client(server.address).wait_ready()
    room.follow(sleeper)
    room.read(), room.send(pace=0.05)
    room.run(20)
    before, frozen = server.connections(), time.monotonic()
    sleeper.freeze()
    wait_until(lambda: server.connections() < before, "the server lets go", within=NOTICED)
    stage.figure("client frozen: the server lets go of its connection", f"{time.monotonic() - frozen:.1f} s")
    time.sleep(max(0.0, frozen + 40 - time.monotonic()))  # the fault itself
    sleeper.thaw()
    stage.figure("client thawed after 40 s: it gets again", f"{room.until_normal():.2f} s")
    finish_without_gaps(room)


def unplugged(stage: Stage, idle: bool) -> None:
    """The network is cut silently: both ends notice. Once it is back, no message is missing."""
    server = stage.launch.server().wait_ready()
    wire = stage.link(server.port)
    client = stage.launch.client(wire.address).wait_ready()
    room = stage.traffic(server.address)
    follower = room.follow(client)
    if not idle:
        room.send(pace=0.05), room.send_by(follower, pace=0.05)
        room.run(20)
    before, pulled = server.connections(), time.monotonic()
    wire.silence()
    what = f"unplugged {'while idle' if idle else 'while messages flow'}"
    wait_until(lambda: not is_ready(client), "the client notices", within=NOTICED)
    stage.figure(f"{what}: the client's /readyz says 503", f"{time.monotonic() - pulled:.1f} s")
    wait_until(lambda: server.connections() < before, "the server lets go", within=NOTICED)
    stage.figure(f"{what}: the server lets go of the connection", f"{time.monotonic() - pulled:.1f} s")
    if idle:
        room.send(pace=0.05)
        room.run(20)
    plugged = time.monotonic()
    wire.restore()
    room.until_normal()
    stage.figure(f"{what}, plugged in again: everybody sends and gets again", f"{time.monotonic() - plugged:.2f} s")
    finish_without_gaps(room)


def finish_without_gaps(room: Traffic) -> None:
    history = room.finish()
    assert_clean(history)
    assert not any(reading.gaps for reading in history.readings), "a gap was reported, but nothing was lost"


def unplugged_busy(stage: Stage) -> None:
    unplugged(stage, idle=False)


def unplugged_idle(stage: Stage) -> None:
    unplugged(stage, idle=True)


def slow_loris(stage: Stage) -> None:
    """400 HTTP requests that never end: others get answers as before, and the slow connections are closed."""
    server = stage.launch.server().wait_ready()
    client = stage.launch.client(server.address, MESSENGER_HTTP_IDLE_TIMEOUT="60s").wait_ready()
    room = stage.traffic(server.address)
    sender = room.send_by(room.follow(client), pace=0.05)
    began = time.monotonic()
    slow = {part: SlowSenders(client.port, 200, *how) for part, how in (("head", IN_THE_HEAD), ("body", IN_THE_BODY))}
    for senders in slow.values():
        stage.ending.callback(senders.stop)
    # The limits are 30 s for the rest of a request whose head is there, and 60 s for a head (by default 2 min).
    for part, limit in ("body", 30), ("head", 60):
        wait_until(lambda part=part: not slow[part].alive, f"those slow with the {part} are ended", within=limit + 15)
        stage.figure(f"200 requests that never end in their {part}: ended", f"{time.monotonic() - began:.0f} s")
    stage.figure("400 requests that never end: the longest that another one took", f"{sender.slowest * 1e3:.0f} ms")
    assert sender.slowest < 5
    finish_without_gaps(room)


HALF_SAID = [
    b"",
    PREFACE[:10],
    PREFACE + frame(SETTINGS, 0, 0),
    PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, call_headers("SendMessage")[:20]),
    PREFACE
    + frame(SETTINGS, 0, 0)
    + frame(HEADERS, END_HEADERS, 1, call_headers("SendMessage"))
    + frame(DATA, 0, 1, b"\0"),
]


def half_open(stage: Stage) -> None:
    """Connections to the server that stop in the middle of a frame: each is closed."""
    server = stage.launch.server().wait_ready()
    before, began = server.connections(), time.monotonic()
    for said in HALF_SAID * 20:
        stranger = stage.ending.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        stranger.sendall(said)
    wait_until(lambda: server.connections() >= before + 100, "they are connected")
    wait_until(lambda: server.connections() <= before, "they are ended", within=NOTICED)
    stage.figure("100 connections that stop in mid-sentence: ended", f"{time.monotonic() - began:.1f} s")


def without_handshake(stage: Stage) -> None:
    """Connections to a server with TLS that never begin the handshake or stop in the middle: each is closed."""
    server = stage.launch.server(**SERVER).wait_ready()
    before, began = server.connections(), time.monotonic()
    for said in [b"", b"\x16\x03\x01\x02\x00\x01"] * 50:
        stranger = stage.ending.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        stranger.sendall(said)
    wait_until(lambda: server.connections() >= before + 100, "they are connected")
    wait_until(lambda: server.connections() <= before, "they are ended", within=NOTICED)
    stage.figure("100 connections that stop in TLS's handshake: ended", f"{time.monotonic() - began:.1f} s")


def server_replaced(stage: Stage) -> None:
    """While the server is replaced, its address leads nowhere: the client does not wait there for long."""
    server = stage.launch.server().wait_ready()
    wire = stage.link(server.port)
    client = stage.launch.client(wire.address).wait_ready()
    nowhere = stage.ending.enter_context(socket.create_server(("127.0.0.1", 0)))
    wire.lead_to(nowhere.getsockname()[1])
    server.stop()
    stage.ending.enter_context(nowhere.accept()[0])
    successor = stage.launch.server().wait_ready()
    replaced = time.monotonic()
    wire.lead_to(successor.port)
    wait_until(lambda: is_ready(client), "the client finds the new server", within=NOTICED)
    waited = time.monotonic() - replaced
    stage.figure("server replaced while connections led nowhere: the client is ready", f"{waited:.1f} s")
    assert waited < 8


SCENARIOS = [
    server_frozen,
    client_frozen,
    unplugged_busy,
    unplugged_idle,
    half_open,
    without_handshake,
    slow_loris,
    server_replaced,
]


def perform(scenario: Callable[[Stage], None], figure: Callable[[str, str], None]) -> None:
    launch = Launcher()
    stage = Stage(launch, figure)
    with closing(launch), stage.ending:
        try:
            scenario(stage)
        except BaseException as error:
            error.add_note(f"in {scenario.__name__}\n{launch.logs()}")
            raise


def test_silent_peers(own_programs, figure):
    """All scenarios at the same time, each with its own programs: one after the other they would need minutes."""
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        running = [pool.submit(perform, scenario, figure) for scenario in SCENARIOS]
    failures = [failure for each in running if (failure := each.exception())]
    if failures:
        raise BaseExceptionGroup("scenarios failed", failures)
