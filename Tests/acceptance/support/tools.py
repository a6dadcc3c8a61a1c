"""The real curl and grpcurl."""

import os
import shutil
import subprocess
import sys

import pytest

from support.api import PROTOS


def tool(name: str) -> str:
    """The tool beside this Python, where ./dev installs grpcurl, or else on the PATH."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which(name, path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        pytest.skip(f"no {name} here")
    return found


def curl(*arguments: str) -> str:
    """What curl prints. It must succeed."""
    done = subprocess.run([tool("curl"), "--silent", "--show-error", *arguments], capture_output=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout.decode()


def grpcurl_command(address: str, method: str, data: str | None = None, *options: str) -> list[str]:
    """The command line of a call with the .proto file."""
    body = [] if data is None else ["-d", data]
    protos = ["-import-path", str(PROTOS), "-proto", "messenger.proto"]
    return [tool("grpcurl"), "-plaintext", *protos, *options, *body, address, f"mes_grpc.MessengerServer/{method}"]


def grpcurl(address: str, method: str, data: str | None = None, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(grpcurl_command(address, method, data, *options), capture_output=True, text=True, timeout=60)


def run_grpcurl(*arguments: str) -> str:
    """What grpcurl prints. It must succeed."""
    done = subprocess.run([tool("grpcurl"), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
