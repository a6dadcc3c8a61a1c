"""The programs that make the load, and what they say."""

import json
import re
import subprocess

from .servers import OUT, BenchmarkError, Running, Server

LOAD = OUT / "messenger-load"
# Far longer than any run takes; the load program itself gives up after --patience seconds without news.
LIMIT = 600


def load(mode: str, server: Running | None, command: list[str] | None = None, **options: int) -> dict[str, float]:
    """Runs the load program, and returns its report."""
    arguments = [str(LOAD), mode]
    if server:
        options = options | {"port": server.port, "pid": server.pid}
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    if command:
        arguments += ["--", *command]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise BenchmarkError(f"messenger-load: {done.stderr.strip() or done.returncode}") from None
    if done.returncode != 0:
        raise BenchmarkError(f"{mode}: {report.get('error', 'failed')}, {done.stdout.strip()}")
    return report


def grpc_body(author: bytes = b"load", text: bytes = b"." * 32) -> bytes:
    """A SendMessageRequest as the body of an HTTP/2 request."""
    message = b"\x0a" + bytes([len(author)]) + author + b"\x12" + bytes([len(text)]) + text
    return b"\x00" + len(message).to_bytes(4, "big") + message


def h2load(server: Running, connections: int, streams: int, calls: int) -> dict[str, float]:
    """Unary calls by h2load: how many in a second, and the server's processor time."""
    body = OUT / "send-message.body"
    body.write_bytes(grpc_body())
    arguments = ["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{calls}", "-d", str(body)]
    arguments += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    arguments += [f"http://127.0.0.1:{server.port}/mes_grpc.MessengerServer/SendMessage"]
    before = server.cpu_seconds()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT, check=False)
    cpu = server.cpu_seconds() - before
    succeeded = re.search(r"(\d+) succeeded", done.stdout)
    rate = re.search(r"([\d.]+) req/s", done.stdout)
    if not succeeded or not rate or int(succeeded[1]) != calls:
        raise BenchmarkError(f"h2load: {done.stdout.strip()[-300:]} {done.stderr.strip()[-300:]}")
    return {"calls": calls, "calls_per_second": float(rate[1]), "server_cpu_seconds": cpu}


def first_answer(server: Server, port: int) -> float:
    """From exec to the first answer, in milliseconds."""
    variables = server.environment | {server.port_variable: str(port)}
    command = ["env", *(f"{name}={value}" for name, value in variables.items()), *server.command]
    return load("first", None, command, port=port)["first_answer_ms"]
