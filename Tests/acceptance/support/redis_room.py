"""Sends to and reads from servers of one room in Redis."""

import grpc

from support.api import connected, failure, pb, reading, stub, time_of


def send(address: str, *texts: str) -> list[int]:
    with connected(address) as channel:
        return [time_of(stub(channel).SendMessage(pb.SendMessageRequest(author="Ivan", text=t))) for t in texts]


def refusal(address: str, code: grpc.StatusCode, text: str = "refused") -> grpc.RpcError:
    with connected(address) as channel:
        return failure(code, stub(channel).SendMessage, pb.SendMessageRequest(author="Ivan", text=text), timeout=20)


def accepted(address: str) -> bool:
    with connected(address) as channel:
        request = pb.SendMessageRequest(author="Ivan", text="there again")
        return stub(channel).SendMessage.future(request, timeout=10).exception(timeout=20) is None


def take(address: str, after: int, count: int) -> list[int]:
    with connected(address) as channel, reading(channel, after=after) as reader:
        return [time_of(message) for message in reader.take(count)]
