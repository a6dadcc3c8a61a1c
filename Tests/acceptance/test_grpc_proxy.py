"""Through a proxy that shares connections, a call gets the same status as without one."""

import shutil
import subprocess
from contextlib import closing

import grpc
import pytest

from support.api import connected, failure, reading, send_raw
from support.http2 import call_headers
from support.needs import skip_or_fail
from support.processes import free_port
from support.raw import Feeder, grpc_message
from support.waiting import wait_until

MISSING = "/mes_grpc.MessengerServer/Missing"

CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
frontend clients
    bind 127.0.0.1:{port} proto h2
    default_backend servers
backend servers
    server one 127.0.0.1:{server} proto h2
"""


@pytest.fixture
def proxied(launch, tmp_path):
    """A server that allows two calls, and the address of a HAProxy in front of it."""
    program = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if not program:
        skip_or_fail("HAProxy is not installed")
    server = launch.server(MESSENGER_MAX_CALLS=2).wait_ready()
    port = free_port()
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(port=port, server=server.port))
    proxy = subprocess.Popen([program, "-db", "-q", "-f", str(file)])
    address = f"127.0.0.1:{port}"
    try:
        with connected(address) as channel:
            wait_until(lambda: send_raw(channel, b"", wait_for_ready=True) is not None, "the proxy serves")
        yield server, address
    finally:
        proxy.terminate()
        proxy.wait()


@pytest.mark.parametrize("size", [0, 100_000, 3_000_000])
def test_an_unknown_method_through_haproxy(proxied, size):
    """UNIMPLEMENTED for a request of any size: the server reads all that the proxy sends."""
    _, address = proxied
    with connected(address) as channel:
        failure(grpc.StatusCode.UNIMPLEMENTED, send_raw, channel, bytes(size), method=MISSING)


def test_a_request_that_is_too_large_through_haproxy(proxied):
    _, address = proxied
    with connected(address) as channel:
        failure(grpc.StatusCode.RESOURCE_EXHAUSTED, send_raw, channel, bytes(3_000_000))


def test_refused_calls_through_haproxy(proxied):
    """The server is full. A call on the same connection continues until it is cancelled."""
    server, address = proxied
    with connected(server.address) as direct, connected(address) as channel, reading(direct):
        with reading(channel) as reader:
            failure(grpc.StatusCode.RESOURCE_EXHAUSTED, send_raw, channel, bytes(10))
            reader.cancel()
            assert reader.status() == grpc.StatusCode.CANCELLED


def test_a_large_request_of_an_unknown_method_is_read(launch):
    """The server reads the whole message before it answers."""
    server = launch.server().wait_ready()
    message = grpc_message(bytes(900_000))
    with closing(Feeder(server.port, call_headers("Missing"))) as feeder:
        assert feeder.send(message) == len(message)
