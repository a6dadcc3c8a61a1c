#!/usr/bin/env python3
"""Measures readers of GET /events: the CPU time of the client for deliveries, and its memory for idle readers. With
--nchan also nginx with the module Nchan (apt-get install nginx-light libnginx-mod-nchan), which gets the same messages.

Each message goes to all readers, which are in this program. The next ones are sent when all have arrived. Rounds,
medians; a table on standard output.

    ./dev build && Benchmarks/events/run.py [--rounds 3] [--readers 1000] [--nchan]
"""

import argparse
import http.client
import json
import select
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / ".build" / "release"
SERVER_PORT, CLIENT_PORT, SENDER_PORT, NGINX_PORT = 18_870, 18_871, 18_872, 18_873
TEXT = "x" * 64
LIMIT = 120.0

NGINX = """
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /send {{ nchan_publisher; nchan_channel_id room; }}
        location /events {{ nchan_subscriber eventsource; nchan_channel_id room; }}
    }}
}}
"""


class Running:
    """A program that listens on a port, for the time of a `with`. Its processes are those of its session."""

    def __init__(self, command: list, port: int, **environment: object):
        environment = {key: str(value) for key, value in environment.items()}
        self.port = port
        self._process = subprocess.Popen(
            list(map(str, command)), env={"PATH": "/usr/bin:/usr/sbin", **environment}, start_new_session=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline and self._process.poll() is None, f"{command[0]} does not listen"
                time.sleep(0.02)

    def _pids(self) -> list[str]:
        # A worker of nginx is the child of its master.
        pid = str(self._process.pid)
        return [pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def cpu_seconds(self) -> float:
        tasks = (task for pid in self._pids() for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident_kibibytes(self) -> int:
        lines = (line for pid in self._pids() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)


class Readers:
    """Readers of events that count what arrives."""

    def __init__(self, port: int, count: int):
        self._epoll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self.received = 0
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            connection.setblocking(False)
            self._connections[connection.fileno()] = connection
            self._epoll.register(connection, select.EPOLLIN)
        self._await_heads()

    def _await_heads(self) -> None:
        waiting = set(self._connections)
        while waiting:
            for descriptor, _ in self._epoll.poll(LIMIT):
                head = self._connections[descriptor].recv(65536)
                assert head.startswith(b"HTTP/1.1 200") or descriptor not in waiting, head
                waiting.discard(descriptor)

    def await_messages(self, count: int) -> None:
        """Until all readers together have received so many."""
        deadline = time.monotonic() + LIMIT
        while self.received < count:
            assert time.monotonic() < deadline, f"{self.received} of {count} deliveries"
            for descriptor, _ in self._epoll.poll(1):
                chunk = self._connections[descriptor].recv(262_144)
                assert chunk, "a reader was disconnected"
                # The text's last letters come once for each message.
                self.received += chunk.count(b'x","sendTime"')
        assert self.received == count, f"{self.received} instead of {count} deliveries"

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


class Sender:
    """Sends messages on one connection."""

    def __init__(self, port: int, path: str, body: dict):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
        self._request = ("POST", path, json.dumps(body, separators=(",", ":")))

    def send(self) -> None:
        self._connection.request(*self._request)
        response = self._connection.getresponse()
        response.read()
        assert response.status in (200, 201, 202), response.status


def deliveries(target: Running, readers: Readers, count: int, senders: list[Sender], messages: int) -> list[float]:
    """Processor seconds for a million deliveries, and deliveries a second."""
    with ThreadPoolExecutor(len(senders)) as pool:
        readers.received = 0
        before, began = target.cpu_seconds(), time.monotonic()
        for sent in range(0, messages, len(senders)):
            futures = [pool.submit(sender.send) for sender in senders]
            readers.await_messages((sent + len(senders)) * count)
            for future in futures:
                future.result()
        took = time.monotonic() - began
        return [(target.cpu_seconds() - before) / (messages * count) * 1e6, messages * count / took]


def measure(target: Running, sender_port: int, path: str, body: dict, count: int, messages: int) -> list[float]:
    before = target.resident_kibibytes()
    readers = Readers(target.port, count)
    memory = (target.resident_kibibytes() - before) / count
    try:
        one = [Sender(sender_port, path, body)]
        deliveries(target, readers, count, one, 20)
        singly = deliveries(target, readers, count, one, messages)
        together = deliveries(target, readers, count, [Sender(sender_port, path, body) for _ in range(20)], messages)
        return [*singly, *together, memory]
    finally:
        readers.close()


def messenger(count: int, messages: int) -> list[float]:
    server = {"MESSENGER_SERVER_PORT": SERVER_PORT}
    client = {"MESSENGER_SERVER_ADDR": f"localhost:{SERVER_PORT}", "MESSENGER_HTTP_STREAMS": count}
    with ExitStack() as stack:
        stack.enter_context(Running([PROGRAMS / "messenger-server"], SERVER_PORT, **server))
        command = [PROGRAMS / "messenger-client"]
        # What is measured does not send.
        stack.enter_context(Running(command, SENDER_PORT, **client, MESSENGER_HTTP_PORT=SENDER_PORT))
        target = stack.enter_context(Running(command, CLIENT_PORT, **client, MESSENGER_HTTP_PORT=CLIENT_PORT))
        Sender(SENDER_PORT, "/sendMessage", {"author": "a", "text": "first"}).send()
        return measure(target, SENDER_PORT, "/sendMessage", {"author": "a", "text": TEXT}, count, messages)


def nchan(count: int, messages: int) -> list[float]:
    folder = Path(tempfile.mkdtemp(prefix="messenger-bench-"))
    try:
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=NGINX_PORT))
        with Running(["/usr/sbin/nginx", "-c", folder / "nginx.conf"], NGINX_PORT) as target:
            body = {"author": "a", "text": TEXT, "sendTime": "2026-11-22T20:22:26.397485817Z"}
            return measure(target, NGINX_PORT, "/send", body, count, messages)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=500)
    parser.add_argument("--nchan", action="store_true")
    arguments = parser.parse_args()
    servers = {"messenger-client": messenger} | ({"nginx with Nchan": nchan} if arguments.nchan else {})
    results: dict[str, list[list[float]]] = {}
    for _ in range(arguments.rounds):
        for name, run in servers.items():
            results.setdefault(name, []).append(run(arguments.readers, arguments.messages))
    print("| | CPU s per 1M deliveries | deliveries/s | the same, 20 messages at once | | KiB per idle reader |")
    print("|---|---|---|---|---|---|")
    for name, rows in results.items():
        single, rate, burst, burst_rate, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {single:.2f} | {rate:,.0f} | {burst:.2f} | {burst_rate:,.0f} | {memory:.1f} |")


if __name__ == "__main__":
    main()
