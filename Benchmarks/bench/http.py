"""The scenarios of our client: HTTP in front, gRPC behind."""

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

from .scenarios import PER_CALLS, Metrics, Scenario, scaled
from .servers import BenchmarkError, Running, Server, running
from .tools import LIMIT, load

SCRIPT = Path(__file__).parent / "send_message.lua"
KIND = "http"


def post(target: Running, path: str, body: dict | None = None) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{target.port}/{path}", json.dumps(body or {}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as response:
        return response.read()


def check(server: Server) -> None:
    with running(server) as target:
        answer = json.loads(post(target, "sendMessage", {"author": "a", "text": "b"}))
    if not answer["sendTime"] or answer.get("error"):
        raise BenchmarkError(f"/sendMessage answers {answer}")


def wrk(target: Running, connections: int, seconds: int) -> Metrics:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    before = target.cpu_seconds()
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{target.port}"], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    cpu = target.cpu_seconds() - before
    requests = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    if not requests or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise BenchmarkError(f"wrk: {done.stdout} {done.stderr}")
    units = {"us": 1e-3, "ms": 1, "s": 1e3}
    latencies = {
        f"p{percent} ms": float(value) * units[unit]
        for percent, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", done.stdout)
    }
    count = int(requests[1])
    return {f"CPU s per {PER_CALLS // 1000}k requests": cpu / count * PER_CALLS, "requests/s": count / float(requests[2])} | latencies


def send(connections: int) -> Scenario:
    def measure(server: Server, share: float) -> Metrics:
        with running(server) as target:
            wrk(target, connections, 1)
            return wrk(target, connections, scaled(5, share))

    return Scenario(f"http-send-{connections}", f"POST /sendMessage, {connections} connections", measure, KIND)


def flush() -> Scenario:
    messages = 100_000

    def measure(server: Server, share: float) -> Metrics:
        if not server.backend:
            return {}
        with running(server) as target:
            post(target, "getAndFlushMessages")
            load("unary", target.backend, connections=10, streams=10, messages=messages, warm_up=0)
            await_buffered(target, messages)
            before = target.cpu_seconds()
            began = time.monotonic()
            body = post(target, "getAndFlushMessages")
            took = time.monotonic() - began
            cpu = target.cpu_seconds() - before
        times = [message["sendTime"] for message in json.loads(body)]
        if len(times) != messages or times != sorted(set(times)):
            raise BenchmarkError(f"a flush of {len(times)} messages, or not in order")
        return {"ms": took * 1000, "CPU ms": cpu * 1000}

    return Scenario("http-flush", f"POST /getAndFlushMessages of {messages:,} messages", measure, KIND)


def await_buffered(target: Running, messages: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/readyz", timeout=LIMIT) as response:
            if json.load(response)["buffered"] >= messages:
                return
        time.sleep(0.05)
    raise BenchmarkError("the messages have not reached the client's buffer")


ALL = [send(1), send(10), send(50), flush()]
