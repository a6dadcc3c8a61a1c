"""A request has an ID, which its answer and the log lines of both programs carry."""

import re

import pytest

from support.api import connected, pb, stub
from support.events import EventReader
from support.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(name="programs")
def programs_(launch):
    server = launch.server(MESSENGER_LOG_LEVEL="debug").wait_ready()
    return server, launch.client(server.address, MESSENGER_LOG_LEVEL="debug").wait_ready()


def line(program, said: str, request_id: str) -> str:
    """The one line of the log that has both."""

    def lines() -> list[str]:
        return [line for line in program.log().splitlines() if said in line and f"request_id={request_id}" in line]

    wait_until(lines, f"{said} of {request_id}")
    assert len(lines()) == 1
    return lines()[0]


#: The fields of a request, and its ID. Without a good one, the client makes one.
GIVEN = [
    ({"X-Request-Id": "order-7"}, "order-7"),
    ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
    ({"X-Request-Id": "two words"}, None),
    ({"X-Request-Id": "x" * 129}, None),
    ({}, None),
]


def test_one_id_in_the_answer_and_in_both_logs(programs):
    server, client = programs
    for headers, expected in GIVEN:
        answer = client.http.request("POST", "/sendMessage", {"author": "Ivan", "text": "hey"}, headers)
        assert answer.status == 200, headers
        given = answer.headers["X-Request-Id"]
        assert given == expected or (expected is None and re.fullmatch(r"[0-9a-f]{16}", given)), headers
        assert "status=200" in line(client, "request answered", given)
        assert "method=/mes_grpc.MessengerServer/SendMessage" in line(server, "call ended", given)


def test_reads_have_an_id(programs):
    server, client = programs
    client.http.send("Ivan", "hey")
    assert client.http.request("GET", "/messages", headers={"X-Request-Id": "read-7"}).status == 200
    assert "method=/mes_grpc.MessengerServer/ReadMessages" in line(server, "call ended", "read-7")


def test_a_reader_of_events_that_comes_back_has_an_id(launch, programs):
    """What was sent before the client's start is read from the server."""
    server, client = programs
    client.http.send("Ivan", "missed")
    later = launch.client(server.address).wait_ready()
    with EventReader(later.port, "?last=1") as reader:
        assert [message["text"] for message in reader.messages(1)] == ["missed"]
        given = reader.headers["X-Request-Id"]
        assert "method=/mes_grpc.MessengerServer/ReadMessages" in line(server, "call ended", given)


def test_errors_have_an_id_too(programs):
    _, client = programs
    for method, path, status in ("GET", "/nowhere", 404), ("POST", "/healthz", 405), ("POST", "/sendMessage", 400):
        answer = client.http.request(method, path, "{", {"X-Request-Id": f"id-{status}"})
        assert (answer.status, answer.headers["X-Request-Id"]) == (status, f"id-{status}")
        assert f"status={status}" in line(client, "request answered", f"id-{status}")


def test_the_server_logs_only_valid_ids(programs):
    server, _ = programs
    with connected(server.address) as channel:
        for value in "a b", "x" * 129, 'a"b':
            metadata = [("x-request-id", value)]
            stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"), timeout=20, metadata=metadata)
        metadata = [("x-request-id", "last")]
        stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text="hey"), timeout=20, metadata=metadata)
    line(server, "call ended", "last")
    assert server.log().count("request_id=") == 1
