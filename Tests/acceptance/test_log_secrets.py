"""No secrets and no text of peers in the log, at any level."""

import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.api import SERVICE, connected, pb, reading, send_raw, stub
from support.processes import free_port
from support.raw import grpc_message

#: What must be in no line.
SECRET = "s3cret-of-a-peer"


def attempt(call, *arguments, **options) -> None:
    try:
        call(*arguments, **options)
    except grpc.RpcError:
        pass


@pytest.fixture
def programs(launch):
    server = launch.server(MESSENGER_LOG_LEVEL="trace").wait_ready()
    client = launch.client(server.address, MESSENGER_LOG_LEVEL="trace").wait_ready()
    return server, client


def test_requests_to_the_server(programs):
    """Messages, metadata and names, in calls that succeed and calls that fail."""
    server, client = programs
    metadata = [("authorization", f"Bearer {SECRET}"), ("trace-bin", SECRET.encode())]
    with connected(server.address) as channel, reading(channel):
        messenger = stub(channel)
        for author, text in (SECRET, SECRET), (SECRET * 100, "hey"), ("Ivan", SECRET * 10_000):
            message = pb.SendMessageRequest(author=author, text=text)
            attempt(messenger.SendMessage, message, timeout=20, metadata=metadata)
        for request in SECRET.encode(), b"\xff" + SECRET.encode(), b"\x0a\x7f" + SECRET.encode():
            attempt(send_raw, channel, request, metadata=metadata)
        attempt(send_raw, channel, b"", SERVICE + SECRET)
        attempt(send_raw, channel, b"", f"/{SECRET}/{SECRET}")
        attempt(messenger.SendMessage, pb.SendMessageRequest(author=SECRET), timeout=0.000_001)
        attempt(health_pb2_grpc.HealthStub(channel).Check, health_pb2.HealthCheckRequest(service=SECRET), timeout=20)
        questions = [reflection_pb2.ServerReflectionRequest(host=SECRET, file_containing_symbol=SECRET)]
        list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(questions), timeout=20))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(SECRET.encode() + grpc_message(SECRET.encode()))
    client.http.flush()
    for program in client, server:
        program.stop()
        assert SECRET not in program.log()
        assert "info" in program.log()


def test_requests_to_the_client(programs):
    """Bodies, paths and headers."""
    server, client = programs
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "X-Other": SECRET}
    bodies = [
        f'{{"author":"{SECRET}","text":"{SECRET}"}}',
        f'{{"author":"{SECRET * 100}","text":""}}',
        SECRET,
        SECRET * 99_999,
    ]
    for body in bodies:
        try:
            client.http.request("POST", "/sendMessage", body, headers)
        except OSError:
            pass
    for method, path in ("GET", f"/{SECRET}"), (SECRET.upper(), f"/sendMessage?{SECRET}"):
        client.http.request(method, path, headers=headers)
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        connection.sendall(f"{SECRET} {SECRET}\r\n{SECRET}\r\n\r\n".encode())
        while connection.recv(4096):
            pass
    for program in client, server:
        program.stop()
        assert SECRET not in program.log() and SECRET.upper() not in program.log()


@pytest.mark.parametrize("arguments", [[], ["--log-level", "trace"]], ids=["info", "trace"])
def test_the_password_of_the_history(launch, arguments):
    """Redis is away: the error names its host."""
    url = f"redis://ann:{SECRET}@127.0.0.1:1/room"
    program = launch.program("messenger-server", *arguments, MESSENGER_HISTORY=url, MESSENGER_SERVER_PORT=free_port())
    assert program.exit_code(within=20) == 69
    assert SECRET not in program.log() and "127.0.0.1:1" in program.log()
