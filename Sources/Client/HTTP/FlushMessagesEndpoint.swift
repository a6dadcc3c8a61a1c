import HTTPTypes
import Hummingbird

/// `POST /getAndFlushMessages`: hands out the messages that have arrived, and empties the inbox.
struct FlushMessagesEndpoint<Room: RemoteRoom>: Sendable {
    let inbox: Inbox
    let barrier: FirstOpeningBarrier<Room>

    /// Answers with the messages as a JSON array, in chunks when they are many.
    ///
    /// When the connection breaks before all have been written, the messages are in the inbox again.
    func respond(to request: Request, context: ClientRequestContext) async throws -> Response {
        try await self.barrier.pass(context)
        let delivery = self.inbox.flush()
        if delivery.messages.isEmpty {
            // What most polls get. A body that is known as a whole goes out with its head in one write.
            return .json(ByteBuffer(staticString: "[]"), to: request.method)
        }
        var chunks = MessageListChunks(delivery.messages)
        let first = chunks.next() ?? ByteBuffer()
        let rest = chunks
        let body = ResponseBody(contentLength: rest.isFinished ? first.readableBytes : nil) { writer in
            try await writer.write(first)
            for chunk in rest {
                try await writer.write(chunk)
            }
            try await writer.finish(nil)
            delivery.confirm()
        }
        return Response(status: .ok, headers: [.contentType: "application/json"], body: body)
    }
}
