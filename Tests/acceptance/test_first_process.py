"""The programs as process 1 of a container. The system drops a signal for process 1 that the process does not handle."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from support.needs import skip_or_fail
from support.waiting import wait_until

#: The program becomes process 1, and this command its parent outside.
FIRST = ["unshare", "--pid", "--fork", "--kill-child"]
PORT = {"messenger-server": "MESSENGER_SERVER_PORT", "messenger-client": "MESSENGER_HTTP_PORT"}


def inner(parent: int, name: str) -> int | None:
    """The program's process ID outside, once it runs."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if Path(os.readlink(f"/proc/{child}/exe")).name == name:
            return int(child)
    return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", PORT)
def test_a_signal_before_the_program_handles_it(launch, name, number):
    """It ends the program at once, as it ends any other process. `docker stop` would wait 10 s, and kill.

    A health check that gets no answer stands for the start: it never handles signals.
    """
    if not shutil.which("unshare") or subprocess.run([*FIRST, "true"], check=False).returncode != 0:
        skip_or_fail("a process 1 takes root, and unshare")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = launch.program(name, "--check-health", runner=FIRST, **{PORT[name]: silent.getsockname()[1]})
        pid = wait_until(lambda: inner(program.pid, name), "the program runs")
        silent.settimeout(20)
        connection, _ = silent.accept()
        os.kill(pid, number)
        assert program.exit_code(within=2) in (128 + number, -number)
        connection.close()
