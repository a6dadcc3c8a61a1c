import NIOCore

/// `POST /getAndFlushMessages`: hands out the messages that have arrived, and empties the inbox.
struct FlushMessagesEndpoint<Room: RemoteRoom>: Sendable {
    let inbox: Inbox
    let barrier: FirstOpeningBarrier<Room>

    /// Answers with the messages as a JSON array, in chunks when they are many.
    ///
    /// When the connection breaks before all have been written, the messages are in the inbox again.
    func reply() -> HTTPReply {
        self.barrier.reply { .now(self.flush()) }
    }

    private func flush() -> HTTPResponse {
        let delivery = self.inbox.flush()
        var chunks = MessageListChunks(delivery.messages)
        return HTTPResponse(
            body: chunks.next() ?? ByteBuffer(),
            rest: chunks.isFinished ? nil : chunks,
            whenWritten: { delivery.confirm() }
        )
    }
}
