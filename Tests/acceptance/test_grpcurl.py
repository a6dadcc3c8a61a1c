"""The server with grpcurl."""

import json
import subprocess

from support.api import pb, stub
from support.room import SEND_TIME, unique
from support.tools import grpcurl, grpcurl_command


def test_grpcurl_sends(channel, server_address):
    """SendMessage by the .proto file answers with the time."""
    done = grpcurl(server_address, "SendMessage", '{"author": "Ivan", "text": "hey"}')
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert list(answer) == ["sendTime"]
    # grpcurl leaves out zeros at the end of a fraction.
    assert answer["sendTime"].endswith("Z") and len(answer["sendTime"]) <= len("2021-09-12T10:25:22.454093428Z")


def test_grpcurl_reads(channel, server_address):
    """ReadMessages prints the headers at once, then each message as it arrives."""
    author = unique("grpcurl")
    command = grpcurl_command(server_address, "ReadMessages", None, "-v", "-max-time", "60")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            seen = read_until(process, "messenger-position: ")
            assert SEND_TIME.search(seen)
            stub(channel).SendMessage(pb.SendMessageRequest(author=author, text="hey"))
            assert author in read_until(process, author)
        finally:
            process.kill()


def read_until(process: subprocess.Popen, wanted: str) -> str:
    """The process's output up to a line that contains `wanted`; -max-time bounds the wait."""
    seen = ""
    for line in process.stdout:
        seen += line
        if wanted in line:
            return seen
    raise AssertionError(f"no {wanted} in:\n{seen}")


def test_grpcurl_shows_errors(channel, server_address):
    """An error shows its code and its sentence."""
    done = grpcurl(server_address, "SendMessage", json.dumps({"author": "a" * 257}))
    assert done.returncode != 0
    assert "InvalidArgument" in done.stderr
