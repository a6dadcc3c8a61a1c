"""Unusual environments: proxies, gRPC's own variables, preloaded libraries, too few threads."""

import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from support.needs import skip_or_fail
from support.processes import PROGRAMS, one_line
from support.tls import SERVER, TRUST
from support.waiting import wait_until

#: Nobody listens there.
NOWHERE = "http://127.0.0.1:1"
PROXIES = ["http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]


class TunnelProxy:
    """An HTTP proxy that only supports CONNECT."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        #: What it was asked for.
        self.requests: list[str] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                threading.Thread(target=self._tunnel, args=(self._listener.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def _tunnel(self, client: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += client.recv(1)
        self.requests.append(request.split(b"\r\n")[0].decode())
        host, _, port = request.split()[1].decode().rpartition(":")
        server = socket.create_connection((host.strip("[]"), int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
        self._pass(server, client)

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy() -> Iterator[TunnelProxy]:
    proxy = TunnelProxy()
    yield proxy
    proxy.close()


@pytest.mark.parametrize("settings", [{}, SERVER], ids=["plain", "TLS"])
def test_proxy_variables_are_ignored(launch, settings):
    """The client and the health check connect directly, whatever proxies the environment names."""
    proxies = dict.fromkeys(PROXIES, NOWHERE)
    server = launch.server(**settings, **proxies).wait_ready()
    client = launch.client(server.address, **(TRUST if settings else {}), **proxies).wait_ready()
    client.http.send("Ivan", "hey")
    assert [message["text"] for message in client.http.flush()] == ["hey"]
    if not settings:
        check = launch.program("messenger-server", "--check-health", MESSENGER_SERVER_PORT=server.port, **proxies)
        assert check.exit_code(within=20) == 0, check.log()


def test_a_proxy_by_setting(launch, proxy):
    """With MESSENGER_SERVER_PROXY=environment the client uses the proxy, except for hosts in no_proxy."""
    server = launch.server().wait_ready()
    asked = {"MESSENGER_SERVER_PROXY": "environment", "http_proxy": proxy.url}
    client = launch.client(server.address, **asked).wait_ready()
    client.http.send("Ivan", "hey")
    assert proxy.requests and server.address in proxy.requests[0]
    proxy.requests.clear()
    launch.client(server.address, **asked, no_proxy="localhost").wait_ready()
    assert not proxy.requests


#: With what strange values gRPC's own variables may come.
VARIABLES = [
    ("GRPC_POLL_STRATEGY", "poll"),
    ("GRPC_POLL_STRATEGY", "none"),
    ("GRPC_POLL_STRATEGY", "nonsense"),
    ("GRPC_VERBOSITY", "debug"),
    ("GRPC_VERBOSITY", "nonsense"),
    ("GRPC_TRACE", "all"),
    ("GRPC_TRACE", "nonsense"),
    ("GRPC_STACKTRACE_MINLOGLEVEL", "error"),
    ("GRPC_DNS_RESOLVER", "native"),
    ("GRPC_DNS_RESOLVER", "nonsense"),
    ("GRPC_EXPERIMENTS", "all"),
    ("GRPC_ABORT_ON_LEAKS", "true"),
    ("GRPC_ENABLE_FORK_SUPPORT", "true"),
    ("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "-1"),
    ("GRPC_SSL_CIPHER_SUITES", "nonsense"),
    ("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "/nowhere"),
    ("GRPC_NOT_USE_SYSTEM_SSL_ROOTS", "nonsense"),
]


@pytest.mark.parametrize(("variable", "value"), VARIABLES)
def test_grpc_variables_do_no_harm(launch, variable, value):
    """Server and client work with any of them, over TLS too, and shut down cleanly."""
    server = launch.server(**SERVER, **{variable: value}).wait_ready()
    client = launch.client(server.address, **TRUST, **{variable: value}).wait_ready()
    for text in "one", "two":
        client.http.send("Ivan", text)
    assert [message["text"] for message in client.http.flush()] == ["one", "two"]
    client.stop()
    server.stop()
    # What is ignored is said, once.
    ignored = variable in ("GRPC_POLL_STRATEGY", "GRPC_EXPERIMENTS", "GRPC_ABORT_ON_LEAKS", "GRPC_SSL_CIPHER_SUITES")
    for program in server, client:
        assert not ignored or program.log().count(variable) == 1, program.log()


@pytest.mark.parametrize("value", ["poll", "none", "nonsense"])
def test_the_health_check_with_any_poll_strategy(launch, value):
    """It works, and prints nothing."""
    server = launch.server().wait_ready()
    settings = {"MESSENGER_SERVER_PORT": server.port, "GRPC_POLL_STRATEGY": value}
    check = launch.program("messenger-server", "--check-health", **settings)
    assert check.exit_code(within=20) == 0
    assert check.log() == ""


@pytest.mark.parametrize("way", ["flag", "variable"])
def test_a_setting_that_is_not_utf_8(launch, tmp_path, way):
    """The start is refused. Otherwise the server would use a file with another name."""
    value = os.fsdecode(b"sqlite:" + os.fsencode(tmp_path) + b"/\xff.db")
    if way == "flag":
        line = one_line(launch.program("messenger-server", f"--history={value}"), 64)
    else:
        line = one_line(launch.program("messenger-server", MESSENGER_HISTORY=value), 78)
    assert "UTF-8" in line
    assert list(tmp_path.iterdir()) == []


#: What a preloaded library may do to the environment before the program runs.
PRELOADED = {
    "adds": 'setenv("PRELOADED_1", "1", 1); setenv("PRELOADED_2", "2", 1);',
    "replaces": 'clearenv(); setenv("PRELOADED", "1", 1);',
    "removes": "clearenv();",
}


@pytest.mark.parametrize("does", PRELOADED)
@pytest.mark.parametrize("name", ["messenger-server", "messenger-client"])
def test_a_preloaded_library_that_changes_the_environment(launch, tmp_path, name, does):
    """Flags still work. Releases with Swift's static library ignored them (swiftlang/swift#76080)."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        skip_or_fail("there is no C compiler here")
    source, library = tmp_path / "preloaded.c", tmp_path / "preloaded.so"
    source.write_text(
        f"#define _GNU_SOURCE\n#include <stdlib.h>\n__attribute__((constructor)) static void run(void) {{ {PRELOADED[does]} }}"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    # The library is for the program, not for the shell before it.
    runner = ["env", f"LD_PRELOAD={library}"]
    assert "--nonsense" in one_line(launch.program(name, "--nonsense", runner=runner), 64)
    flag = {"messenger-server": "--history-bytes", "messenger-client": "--buffer-bytes"}[name]
    program = launch.program(name, f"{flag}=77MiB", "--log-level=info", runner=runner)
    wait_until(lambda: "77MiB" in program.log() or not program.running, "the start's line")
    assert "77MiB" in program.log(), program.log()


@pytest.mark.parametrize("name", ["messenger-server", "messenger-client"])
def test_too_few_threads(launch, name):
    """The program ends with one line. Otherwise libraries would wait forever and ignore SIGTERM."""
    if os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("prlimit"):
        skip_or_fail("the number of another user's processes is limited with setpriv and prlimit, as root")
    # A user who has no other processes.
    user = ["setpriv", "--reuid", str(random.randrange(100_000, 2_000_000_000)), "--clear-groups"]
    if subprocess.run([*user, "test", "-x", PROGRAMS / name], check=False).returncode != 0:
        skip_or_fail("other users cannot reach the programs")
    for limit in (2, 8, 12):
        program = launch.program(name, runner=[*user, "prlimit", f"--nproc={limit}"])
        assert "threads" in one_line(program, 69)
