"""Metrics of both programs: what Prometheus reads is what happened."""

import os
import re
import signal
import socket
import threading
from pathlib import Path

import grpc
import pytest

from support.api import Reader, connected, failure, pb, send_raw, stub, time_of
from support.events import EventReader
from support.http import HTTPClient
from support.metrics import scrape
from support.processes import ROOT, free_port, one_line
from support.tokens import bearer, http_bearer
from support.waiting import wait_until

SEND = {"grpc_service": "mes_grpc.MessengerServer", "grpc_method": "SendMessage", "grpc_type": "unary"}
READ = {"grpc_service": "mes_grpc.MessengerServer", "grpc_method": "ReadMessages", "grpc_type": "server_stream"}


def start(launch, **settings):
    """A server with metrics, and their address."""
    port = free_port()
    settings = {"MESSENGER_HISTORY": "memory:", "MESSENGER_METRICS_PORT": port, **settings}
    server, http = launch.server(**settings).wait_ready(), HTTPClient(f"localhost:{port}")
    # Connections are accepted a moment before the server says so.
    wait_until(lambda: readyz(http) == (200, None), "the server is ready")
    return server, http


def send(channel: grpc.Channel, text: str = "hey", **options):
    return stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=20, **options)


def readyz(http: HTTPClient) -> tuple[int, str | None]:
    response = http.request("GET", "/readyz")
    return response.status, response.json().get("reason")


# The server


def test_calls_of_the_server(launch):
    server, http = start(launch)
    with connected(server.address) as channel:
        first = [send(channel, f"text {index}") for index in range(5)][0]
        failure(grpc.StatusCode.INVALID_ARGUMENT, send, channel, "x" * 100_000)
        assert len(list(stub(channel).ReadMessages(pb.ReadMessagesRequest(last=3, limit=3), timeout=20))) == 3
        reader = Reader(channel)
        send(channel, "live")
        reader.take(1)
        # A call counts as ended before its client has the answer, but a stream that is cancelled a moment later.
        metrics = scrape(http)
        assert metrics("grpc_server_started_total", **SEND) == 7
        assert metrics("grpc_server_handled_total", **SEND, grpc_code="OK") == 6
        assert metrics("grpc_server_handled_total", **SEND, grpc_code="InvalidArgument") == 1
        assert metrics("grpc_server_handling_seconds_count", **SEND) == 7
        assert metrics("grpc_server_handling_seconds_bucket", **SEND, le="+Inf") == 7
        buckets = metrics.values("grpc_server_handling_seconds_bucket", **SEND)
        assert buckets == sorted(buckets)
        assert 0 < metrics("grpc_server_handling_seconds_sum", **SEND) < 7
        assert metrics("grpc_server_msg_received_total", **SEND) == 7
        assert metrics("grpc_server_msg_sent_total", **SEND) == 6
        assert metrics("grpc_server_started_total", **READ) == 2
        assert metrics("grpc_server_handled_total", **READ) == 1
        assert metrics("grpc_server_msg_sent_total", **READ) == 4
        assert metrics("messenger_readers") == metrics("messenger_calls_open") == 1
        assert metrics("messenger_connections_open") == 1
        assert metrics("messenger_connections_accepted_total") >= 1
        assert metrics("messenger_connections_max") > 1
        assert metrics("messenger_history_messages") == 6
        assert metrics("messenger_history_bytes") > 6 * len("text")
        oldest = metrics("messenger_history_oldest_timestamp_seconds")
        assert oldest == pytest.approx(time_of(first) / 1e9, abs=1e-3)
        assert metrics("messenger_history_writable") == metrics("messenger_build_info") == 1
        reader.call.cancel()
        wait_until(lambda: scrape(http)("messenger_readers") == 0, "the reader has left")
        assert scrape(http)("grpc_server_handled_total", **READ, grpc_code="Cancelled") == 1


def test_the_process_of_the_server(launch):
    server, http = start(launch)
    metrics = scrape(http)
    assert metrics("process_start_time_seconds") == pytest.approx(server.started / 1e9, abs=2)
    assert metrics("process_resident_memory_bytes") == pytest.approx(server.resident_bytes(), rel=0.2)
    assert 0 < metrics("process_allocated_memory_bytes") < metrics("process_resident_memory_bytes")
    assert metrics("process_cpu_seconds_total") == pytest.approx(server.cpu_seconds(), abs=0.2)
    assert abs(metrics("process_open_fds") - server.file_descriptors()) <= 2
    assert metrics("process_max_fds") > metrics("process_open_fds")


def test_strangers_make_no_series(launch):
    """Names of methods and paths come from strangers. They never become labels."""
    server, http = start(launch)
    before = scrape(http)
    with connected(server.address) as channel:
        for index in range(20):
            method = f"/service{index}/method"
            failure(grpc.StatusCode.UNIMPLEMENTED, send_raw, channel, b"", method=method)
    for index in range(20):
        assert http.request("GET", f"/path{index}").status == 404
    after = scrape(http)
    added = {series[1:] for series in after.series - before.series}
    assert added == {(("reason", "unknownMethod"),)}
    assert after("messenger_calls_refused_total", reason="unknownMethod") == 20


def test_refusals_by_token(launch, tokens):
    reads, slow = tokens.add("reads", "read"), tokens.add("slow", "send", "1/s")
    server, http = start(launch, MESSENGER_TOKENS_FILE=tokens.path)
    with connected(server.address) as channel:
        for _ in range(3):
            failure(grpc.StatusCode.UNAUTHENTICATED, send, channel)
        for _ in range(2):
            failure(grpc.StatusCode.PERMISSION_DENIED, send, channel, metadata=bearer(reads))
        accepted = 0
        for _ in range(20):
            try:
                send(channel, metadata=bearer(slow))
                accepted += 1
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    # The scrape needs no token.
    metrics = scrape(http)
    refused = [metrics("messenger_calls_refused_total", reason=name) for name in ("noValidToken", "noRight", "overRate")]
    assert refused == [3, 2, 20 - accepted] and accepted < 20
    assert metrics("grpc_server_started_total", **SEND) == accepted


def test_commits(launch, tmp_path):
    server, http = start(launch, MESSENGER_HISTORY=f"sqlite:{tmp_path / 'history.db'}", MESSENGER_HISTORY_MESSAGES=5)
    with connected(server.address) as channel:
        times = [time_of(send(channel)) for _ in range(10)]
        metrics = scrape(http)
        assert metrics("messenger_history_commit_messages_total") == 10
        assert 1 <= metrics("messenger_history_commit_seconds_count") <= 10
        assert metrics("messenger_history_commit_seconds_sum") > 0
        assert metrics("messenger_history_messages") == 5
        # What a stream reads from storage counts too.
        Reader(channel, after=times[0]).take(9)
        wait_until(lambda: scrape(http)("grpc_server_msg_sent_total", **READ) == 9, "nine messages are counted")


def test_readyz_while_the_history_cannot_be_written(launch, tmp_path):
    path = tmp_path / "history.db"
    server, http = start(launch, MESSENGER_HISTORY=f"sqlite:{path}")
    assert readyz(http) == (200, None)
    os.unlink(path)
    wait_until(lambda: readyz(http) == (503, "the history cannot be written"), "the server has noticed", within=20)
    with connected(server.address) as channel:
        failure(grpc.StatusCode.UNAVAILABLE, send, channel)
    metrics = scrape(http)
    assert metrics("messenger_history_writable") == 0
    assert metrics("messenger_sends_refused_total", reason="away") == 1
    assert http.request("GET", "/healthz").status == 200


def test_readyz_while_the_server_stops(launch):
    server, http = start(launch)
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    with connected(server.address) as channel, http.connection() as kept:
        call = channel.stream_stream(reflection, request_serializer=bytes, response_deserializer=bytes)
        # A call that does not end by itself holds the stop up for its grace period.
        is_over = threading.Event()
        pending = call(_requests_until(is_over))
        next(pending)
        assert kept.request("GET", "/readyz").status == 200
        os.kill(server.pid, signal.SIGTERM)
        wait_until(lambda: kept.request("GET", "/readyz").status == 503, "the server is stopping")
        assert kept.request("GET", "/readyz").json() == {"status": "not ready", "reason": "stopping"}
        assert kept.request("GET", "/healthz").status == 200
        assert server.exit_code(within=10) == 0
        is_over.set()


def _requests_until(is_over: threading.Event):
    """One request (the list of services), then none."""
    yield b"\x3a\x00"
    is_over.wait(timeout=60)


def test_the_port_of_the_metrics(launch):
    server, http = start(launch)
    assert http.request("HEAD", "/metrics").body == b""
    for path in ["/metrics", "/healthz", "/readyz"]:
        response = http.request("POST", path, "{}")
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert http.request("GET", "/").json() == {"error": "There is nothing here."}
    # Only this machine, if nothing else is said.
    port = http.address.rpartition(":")[2]
    line = next(line for line in server.log().splitlines() if "messenger-server: metrics " in line)
    assert re.fullmatch(rf"(127\.0\.0\.1:{port})?,?(\[::1\]:{port})?", line.rpartition("address=")[2])
    second = launch.server(MESSENGER_METRICS_PORT=port)
    wait_until(lambda: not second.running, "the port is in use")
    assert second.exit_code(within=5) == 69
    assert second.log().splitlines()[-1].endswith("Choose another port with MESSENGER_METRICS_PORT.")


def test_a_peer_that_takes_no_metrics_delays_no_stop(launch):
    server, http = start(launch)
    host, _, port = http.address.rpartition(":")
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        server.stop(within=5)


def test_without_a_port_there_is_no_http(launch):
    """Nor are there threads for it, or costs of counting."""
    server = launch.server().wait_ready()
    names = {Path(task).read_text() for task in Path(f"/proc/{server.pid}/task").glob("*/comm")}
    assert not [name for name in names if name.startswith("NIO")]
    with_metrics, _ = start(launch)
    names = {Path(task).read_text() for task in Path(f"/proc/{with_metrics.pid}/task").glob("*/comm")}
    assert [name for name in names if name.startswith("NIO")], "the test finds them"


def test_a_bad_port_stops_the_start(launch):
    assert "a port number" in one_line(launch.server(MESSENGER_METRICS_PORT="many"), 78)


# The client


def test_requests_of_the_client(launch, server):
    client = launch.client(server.address).wait_ready()
    before = scrape(client.http)
    for text in ["a", "b", "c"]:
        client.http.send("Ivan", text)
    assert client.http.request("POST", "/sendMessage", "{").status == 400
    assert client.http.request("GET", "/sendMessage").status == 405
    for index in range(10):
        assert client.http.request("GET", f"/path{index}").status == 404
    assert client.http.request("GET", "/page/page.css").status == 200
    wait_until(lambda: scrape(client.http)("messenger_inbox_messages") == 3, "the messages have arrived")
    metrics = scrape(client.http)
    assert metrics("http_requests_total", route="/sendMessage", status="200") == 3
    assert metrics("http_requests_total", route="/sendMessage", status="400") == 1
    assert metrics("http_requests_total", route="/sendMessage", status="405") == 1
    assert metrics("http_requests_total", route="other", status="404") == 10
    assert metrics("http_requests_total", route="/page", status="200") == 1
    assert metrics("http_request_duration_seconds_count", route="/sendMessage") == 5
    assert 0 < metrics("http_request_duration_seconds_sum", route="/sendMessage") < 10
    assert metrics("messenger_messages_received_total") == 3
    assert 0 < metrics("messenger_inbox_bytes") < metrics("messenger_inbox_capacity_bytes") == 64 << 20
    assert metrics("messenger_stream_open") == 1
    assert metrics("messenger_gaps_total") == metrics("messenger_event_readers") == 0
    assert metrics("process_resident_memory_bytes") > 0
    routes = {dict(labels[1:])["route"] for labels in metrics.series - before.series}
    assert routes <= {"/sendMessage", "other", "/page", "/metrics"}, "no path of a stranger is a label"
    client.http.flush()
    wait_until(lambda: scrape(client.http)("messenger_inbox_messages") == 0, "the answer is acknowledged")
    assert scrape(client.http)("http_requests_total", route="/getAndFlushMessages", status="200") == 1


def test_the_stream_of_the_client(launch, server):
    client = launch.client(server.address).wait_ready()
    events = EventReader(client.port).open()
    assert scrape(client.http)("messenger_event_readers") == 1
    ends = scrape(client.http)("messenger_stream_ends_total")
    server.kill()
    wait_until(lambda: scrape(client.http)("messenger_stream_open") == 0, "the client has noticed")
    assert scrape(client.http)("messenger_stream_ends_total") > ends
    launch.server(MESSENGER_HISTORY="memory:", port=server.port).wait_ready()
    wait_until(lambda: scrape(client.http)("messenger_stream_open") == 1, "the stream is open again")
    wait_until(lambda: scrape(client.http)("messenger_gaps_total") == 1, "the lost history is a gap")
    events.close()


def test_metrics_of_the_client_need_a_token(launch, server, tokens):
    reads, sends = tokens.add("reads", "read"), tokens.add("sends", "send")
    client = launch.client(server.address, MESSENGER_HTTP_TOKENS_FILE=tokens.path).wait_ready()
    assert client.http.request("GET", "/metrics").status == 401
    assert client.http.request("GET", "/metrics", headers=http_bearer(sends)).status == 403
    metrics = scrape(client.http, http_bearer(reads))
    assert metrics("http_requests_total", route="/metrics", status="401") == 1
    assert metrics("http_requests_total", route="/metrics", status="403") == 1


# The documentation


@pytest.mark.repository
def test_the_metrics_that_the_documentation_names(launch):
    """The tables have all metrics, and the dashboard has no others."""
    server, http = start(launch)
    client = launch.client(server.address).wait_ready()
    names = {*scrape(http).names, *scrape(client.http).names}
    page = (ROOT / "docs/operations.md").read_text()
    tables = page[page.index("\n## Metrics") : page.index("\n## ", page.index("\n## Metrics") + 1)]
    documented = {name for row in re.findall(r"^\| (`.*?) \|", tables, re.M) for name in re.findall(r"`(\w+)", row)}
    assert documented == names
    dashboard = (ROOT / "docs/grafana-dashboard.json").read_text()
    used = set(re.findall(r"\b(?:messenger|grpc_server|http_request|process)\w*_\w+", dashboard))
    assert len(used) > 10
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in used} <= names
