"""Servers with a history file, and the files beside it."""

import os
from pathlib import Path

import grpc

from support.api import connected, failure, pb, reading, stub, time_of
from support.launcher import Launcher
from support.processes import Program, Server

GONE = "removed or replaced"


def serve(launch: Launcher, path: object, port: int | None = None, **settings: object) -> Server:
    return launch.server(port=port, MESSENGER_HISTORY=f"sqlite:{path}", **settings).wait_ready()


def start(launch: Launcher, path: object, **settings: object) -> Program:
    """A server that should refuse to start."""
    return launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}", MESSENGER_SERVER_PORT=0, **settings)


def send(server: Server, *texts: str) -> list[int]:
    with connected(server.address) as channel:
        return [
            time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=text), timeout=60))
            for text in texts
        ]


def refused(server: Server) -> grpc.RpcError:
    with connected(server.address) as channel:
        request = pb.SendMessageRequest(author="Ivan", text="refused")
        return failure(grpc.StatusCode.UNAVAILABLE, stub(channel).SendMessage, request, timeout=60)


def read(server: Server, after: int, count: int) -> list[str]:
    with connected(server.address) as channel, reading(channel, after) as reader:
        return [message.text for message in reader.take(count)]


def names(folder: Path) -> set[str]:
    return set(os.listdir(folder))
