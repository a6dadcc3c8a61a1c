"""The messenger on Python's grpcio, with asyncio."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import grpc
import messenger_pb2 as pb
import messenger_pb2_grpc


class Messenger(messenger_pb2_grpc.MessengerServerServicer):
    def __init__(self) -> None:
        self.last = 0
        self.readers: set[asyncio.Queue[pb.Message]] = set()

    async def SendMessage(self, request: pb.SendMessageRequest, context: grpc.aio.ServicerContext):
        self.last = max(self.last + 1, time.time_ns())
        message = pb.Message(author=request.author, text=request.text)
        message.sendTime.FromNanoseconds(self.last)
        for reader in self.readers:
            reader.put_nowait(message)
        return pb.SendMessageResponse(sendTime=message.sendTime)

    async def ReadMessages(
        self, request: pb.ReadMessagesRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.Message]:
        queue: asyncio.Queue[pb.Message] = asyncio.Queue()
        self.readers.add(queue)
        try:
            await context.send_initial_metadata(())
            while True:
                yield await queue.get()
        finally:
            self.readers.discard(queue)


async def main() -> None:
    port = os.environ.get("MESSENGER_SERVER_PORT", "51075")
    options = [
        ("grpc.so_reuseport", 0),
        # Thousands of readers may come at once; by default the core refuses some of them.
        ("grpc.server.max_pending_requests", 20_000),
        ("grpc.server.max_pending_requests_hard_limit", 20_000),
    ]
    server = grpc.aio.server(options=options)
    messenger_pb2_grpc.add_MessengerServerServicer_to_server(Messenger(), server)
    server.add_insecure_port(f"0.0.0.0:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
