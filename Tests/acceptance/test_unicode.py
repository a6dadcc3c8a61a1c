"""Text of peers is compared as bytes, so its cost grows with its length only."""

import json

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from support.api import connected, failure

#: Normalising this takes time that grows with the square of its length.
MARKS = "\u0345\u0301\u0316\u0334"
#: What `COUNT` requests may take of the processor, in seconds: one of them took more than that.
COUNT, LIMIT = 10, 0.4


def marks(size: int) -> str:
    return "a" + MARKS * (size // 8)


@pytest.fixture
def server(launch):
    return launch.server().wait_ready()


@pytest.fixture
def channel(server):
    with connected(server.address) as channel:
        yield channel


def ask(channel, question: dict, count: int) -> list:
    requests = [reflection_pb2.ServerReflectionRequest(**question) for _ in range(count)]
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return list(stub.ServerReflectionInfo(iter(requests), timeout=60))


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": marks(32_000)},
        {"file_containing_symbol": marks(32_000)},
        {"all_extension_numbers_of_type": marks(32_000)},
        {
            "file_containing_extension": reflection_pb2.ExtensionRequest(
                containing_type=marks(32_000), extension_number=1
            )
        },
        {"host": marks(32_000), "file_containing_symbol": "mes_grpc.Message"},
    ],
    ids=["file", "symbol", "extensions", "extension", "host"],
)
def test_a_long_name_in_a_reflection_request(server, channel, question):
    ask(channel, {"list_services": ""}, 1)
    before = server.cpu_seconds()
    answers = ask(channel, question, COUNT)
    assert server.cpu_seconds() - before < LIMIT
    if "host" not in question:
        assert {answer.error_response.error_code for answer in answers} == {grpc.StatusCode.NOT_FOUND.value[0]}
        assert all(len(answer.error_response.error_message) < 100 for answer in answers)


@pytest.mark.parametrize("name", [marks(64_000), "a" * 257, marks(250)], ids=["marks", "long", "short"])
def test_a_long_name_in_a_health_check(server, channel, name):
    """NOT_FOUND. A watch says SERVICE_UNKNOWN and stays open."""
    stub = health_pb2_grpc.HealthStub(channel)
    stub.Check(health_pb2.HealthCheckRequest())
    before = server.cpu_seconds()
    for _ in range(COUNT):
        failure(grpc.StatusCode.NOT_FOUND, stub.Check, health_pb2.HealthCheckRequest(service=name), timeout=60)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=name), timeout=60)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    assert server.cpu_seconds() - before < LIMIT
    watch.cancel()


def test_a_watch_does_not_keep_a_long_name(server, channel):
    """60 names of 1 MB need less than 20 MB."""
    stub = health_pb2_grpc.HealthStub(channel)
    before = server.resident_bytes()
    watches = []
    for _ in range(60):
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="a" * 1_000_000), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watches.append(watch)
    assert server.resident_bytes() - before < 20e6
    for watch in watches:
        watch.cancel()


@pytest.mark.parametrize(
    "body",
    [
        {"author": "Ivan", "text": "hey", marks(80_000): 0},
        {"author": "Ivan", "text": "hey", "more": {marks(80_000): [marks(80_000)]}},
        {"author": marks(200), "text": marks(60_000)},
    ],
    ids=["key", "key inside", "text"],
)
def test_combining_marks_in_a_json_body(launch, server, body):
    client = launch.client(server.address).wait_ready()
    text = json.dumps(body, ensure_ascii=False)
    with client.http.connection() as connection:
        connection.send("Ivan", "hey")
        before = client.cpu_seconds() + server.cpu_seconds()
        for _ in range(COUNT):
            assert connection.request("POST", "/sendMessage", text).status == 200
        assert client.cpu_seconds() + server.cpu_seconds() - before < 2 * LIMIT
        assert connection.flush()[-1]["text"] == body["text"]


FIELDS = ["Host", "Connection", "Expect", "Origin", "Referer", "Sec-Fetch-Site", "Transfer-Encoding", "User-Agent", "X"]


def test_combining_marks_in_a_header_field(launch, server):
    """The client may answer or refuse."""
    client = launch.client(server.address).wait_ready()
    client.http.send("Ivan", "hey")
    for name in FIELDS:
        before = client.cpu_seconds()
        for _ in range(COUNT):
            client.http.request("GET", "/healthz", headers={name: marks(7_000).encode()})
        assert client.cpu_seconds() - before < LIMIT, name


@pytest.mark.parametrize("key", ["e\u0301", "\u00e9"], ids=["two scalars", "one scalar"])
def test_normalization_forms_are_different_texts(launch, server, key):
    """Text comes back byte for byte, in any form."""
    client = launch.client(server.address).wait_ready()
    client.http.send(key, key)
    [message] = client.http.flush()
    assert message["author"] == message["text"] == key
