"""grpc.health.v1 and grpc.reflection, as tools and load balancers use them."""

import json
import os
import signal

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from support.api import connected, failure
from support.room import unique
from support.tools import run_grpcurl

MESSENGER = "mes_grpc.MessengerServer"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def request(service: str) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


@pytest.mark.parametrize("service", ["", MESSENGER])
def test_health_is_serving(channel, service):
    """Check answers SERVING, for the server and for its service."""
    assert health_pb2_grpc.HealthStub(channel).Check(request(service)).status == SERVING


def test_health_of_an_unknown_service(channel):
    """Check fails with NOT_FOUND. Watch says SERVICE_UNKNOWN and stays open."""
    stub = health_pb2_grpc.HealthStub(channel)
    failure(grpc.StatusCode.NOT_FOUND, stub.Check, request("nobody.Service"))
    watch = stub.Watch(request("nobody.Service"), timeout=60)
    assert next(watch).status == SERVICE_UNKNOWN
    watch.cancel()


def test_watchers_of_health_are_told_of_a_stop(launch):
    """Watch says NOT_SERVING when the server begins to stop, then the stream ends."""
    server = launch.server().wait_ready()
    with connected(server.address) as channel:
        watches = [health_pb2_grpc.HealthStub(channel).Watch(request(name), timeout=60) for name in ("", MESSENGER)]
        assert [next(watch).status for watch in watches] == [SERVING, SERVING]
        os.kill(server.pid, signal.SIGTERM)
        assert [next(watch).status for watch in watches] == [NOT_SERVING, NOT_SERVING]
        for watch in watches:
            failure(grpc.StatusCode.UNAVAILABLE, next, watch)
    assert server.exit_code(within=10) == 0


def test_pythons_descriptor_database_calls_without_a_proto_file(channel):
    """grpcio's reflection client learns the messages from the server, and sends one."""
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service = pool.FindServiceByName(MESSENGER)
    assert [method.name for method in service.methods] == ["SendMessage", "ReadMessages"]
    send = service.FindMethodByName("SendMessage")
    make = message_factory.GetMessageClass(send.input_type)
    call = channel.unary_unary(
        f"/{MESSENGER}/SendMessage",
        request_serializer=make.SerializeToString,
        response_deserializer=message_factory.GetMessageClass(send.output_type).FromString,
    )
    assert call(make(author=unique("reflection"), text="hey")).sendTime.seconds > 0


@pytest.fixture
def ask(channel):
    """Sends requests to the reflection service and returns the answers."""

    def put(**question) -> reflection_pb2.ServerReflectionResponse:
        requests = [reflection_pb2.ServerReflectionRequest(host="here", **question)]
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        [answer] = stub.ServerReflectionInfo(iter(requests), timeout=60)
        assert answer.valid_host == "here" and answer.original_request == requests[0]
        return answer

    return put


def test_services_are_listed(ask):
    names = [service.name for service in ask(list_services="").list_services_response.service]
    assert sorted(names) == sorted(
        [
            MESSENGER,
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
        ]
    )


@pytest.mark.parametrize(
    "symbol",
    [
        MESSENGER,
        MESSENGER + ".ReadMessages",
        "mes_grpc.Message",
        "mes_grpc.Message.sendTime",
        "mes_grpc.ReadMessagesRequest._after",
        "grpc.reflection.v1.ServerReflectionRequest.message_request",
        "google.protobuf.Timestamp",
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
        "grpc.health.v1.HealthCheckResponse.SERVING",
    ],
)
def test_symbols_are_found(ask, symbol):
    """Services, methods, messages, fields, oneofs, enums and their values, each with the files that it needs."""
    assert ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto


def test_files_are_found_with_what_they_import(ask):
    assert len(ask(file_by_filename="messenger.proto").file_descriptor_response.file_descriptor_proto) == 2
    [file] = ask(file_by_filename="google/protobuf/timestamp.proto").file_descriptor_response.file_descriptor_proto
    assert b"google/protobuf/timestamp.proto" in file


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "missing.proto"},
        {"file_containing_symbol": "mes_grpc.Missing"},
        {"file_containing_symbol": ""},
        {"all_extension_numbers_of_type": "mes_grpc.Missing"},
        {
            "file_containing_extension": reflection_pb2.ExtensionRequest(
                containing_type="mes_grpc.Message", extension_number=7
            )
        },
    ],
)
def test_unknown_names_are_not_found(ask, question):
    assert ask(**question).error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_a_message_without_extensions_has_none(ask):
    answer = ask(all_extension_numbers_of_type="mes_grpc.Message").all_extension_numbers_response
    assert answer.base_type_name == "mes_grpc.Message" and not answer.extension_number


def test_several_questions_on_one_stream(channel):
    """The server answers each request before it reads the next one."""
    questions = [reflection_pb2.ServerReflectionRequest(list_services="")] * 5 + [
        reflection_pb2.ServerReflectionRequest()
    ]
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = list(stub.ServerReflectionInfo(iter(questions), timeout=60))
    assert len(answers) == 6
    assert answers[-1].error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_grpcurl_needs_no_proto_file(server_address, channel):
    """list, describe and calls, from the server alone."""
    assert MESSENGER in run_grpcurl("-plaintext", server_address, "list").split()
    assert "rpc SendMessage" in run_grpcurl("-plaintext", server_address, "describe", MESSENGER)
    sent = run_grpcurl("-plaintext", "-d", '{"author": "a", "text": "b"}', server_address, f"{MESSENGER}/SendMessage")
    assert list(json.loads(sent)) == ["sendTime"]
    health = run_grpcurl("-plaintext", server_address, "grpc.health.v1.Health/Check")
    assert json.loads(health) == {"status": "SERVING"}
