"""The health of the service follows whether the history can be written, although nobody sends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from support.api import connected, failure, pb, stub
from support.disk import SmallDisk
from support.processes import free_port
from support.redis import Redis

SERVICE = "mes_grpc.MessengerServer"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """What a load balancer sees."""

    def __init__(self, channel: grpc.Channel):
        self._stub = health_pb2_grpc.HealthStub(channel)
        self._watch = self._stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=120)
        assert next(self._watch).status == SERVING

    def becomes(self, status: int, within: float) -> None:
        began = time.monotonic()
        assert next(self._watch).status == status
        assert time.monotonic() - began < within
        # The process lives all the time.
        assert self._stub.Check(health_pb2.HealthCheckRequest()).status == SERVING


@contextmanager
def watched(address: str) -> Iterator[tuple[Health, grpc.Channel]]:
    with connected(address) as channel:
        yield Health(channel), channel


def send(channel: grpc.Channel, text: str = "hey") -> None:
    stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=20)


@pytest.fixture
def redis(own_programs) -> Iterator[Redis]:
    redis = Redis(free_port())
    yield redis
    redis.close()


@pytest.mark.slow  # the ten seconds until the server tries a full disk again
def test_a_full_disk(launch, own_programs):
    """A refused message shows that the disk is full. Once there is space, the service is well within 20 s."""
    disk = SmallDisk(kilobytes=4 << 10)
    try:
        server = launch.server(MESSENGER_HISTORY=f"sqlite:{disk.path / 'history.db'}").wait_ready()
        with watched(server.address) as (health, channel):
            disk.fill()
            error = grpc.StatusCode.RESOURCE_EXHAUSTED
            request = pb.SendMessageRequest(author="Ivan", text="x" * 60_000)
            for _ in range(50):  # until the space inside the history's files is used
                try:
                    stub(channel).SendMessage(request, timeout=20)
                except grpc.RpcError:
                    break
            failure(error, stub(channel).SendMessage, request, timeout=20)
            health.becomes(NOT_SERVING, within=5)
            disk.make_room()
            health.becomes(SERVING, within=20)
            send(channel)
        server.stop()
    finally:
        disk.close()


def test_redis_goes_away(launch, redis):
    """Nobody sends, and the health follows."""
    server = launch.server(MESSENGER_HISTORY=redis.location()).wait_ready()
    with watched(server.address) as (health, channel):
        redis.kill()
        health.becomes(NOT_SERVING, within=10)
        redis.start()
        health.becomes(SERVING, within=20)
        send(channel)


def test_redis_is_out_of_memory(launch, redis):
    """Redis would refuse a message, so the service is not serving."""
    server = launch.server(MESSENGER_HISTORY=redis.location()).wait_ready()
    with watched(server.address) as (health, channel):
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        health.becomes(NOT_SERVING, within=10)
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        health.becomes(SERVING, within=20)
        send(channel)


def test_the_files_are_removed(launch, tmp_path):
    """Only a restart helps, and an orchestrator can see that."""
    path = tmp_path / "history.db"
    server = launch.server(MESSENGER_HISTORY=f"sqlite:{path}").wait_ready()
    with watched(server.address) as (health, channel):
        send(channel)
        for file in tmp_path.glob("history.db*"):
            file.unlink()
        health.becomes(NOT_SERVING, within=10)
        failure(grpc.StatusCode.UNAVAILABLE, stub(channel).SendMessage, pb.SendMessageRequest(), timeout=20)
