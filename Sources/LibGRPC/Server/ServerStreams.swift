internal import Synchronization

/// The messages that a client streams to one call: an asynchronous sequence for one reader.
///
/// It ends after the client's last message. Unread messages stay with the client once the flow-control window is full.
public struct RequestStream<Message>: AsyncSequence, Sendable {
    let call: ServerCall
    let codec: MessageCodec<Message>

    /// The iterator. Make only one.
    public func makeAsyncIterator() -> Iterator {
        Iterator(call: call, codec: codec)
    }

    /// Receives one message after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let call: ServerCall
        let codec: MessageCodec<Message>

        /// The next message; `nil` after the last. One call at a time.
        /// - Throws: `CANCELLED` if the client is gone, `INVALID_ARGUMENT` if the message cannot be decoded.
        public mutating func next() async throws(RPCError) -> Message? {
            if let message = try await call.receiveMessage() {
                call.hasReceivedMessage.store(true, ordering: .relaxed)
                return try codec.decode(request: message)
            }
            guard !call.receivingFailed else { throw .peerIsGone }
            return nil
        }
    }
}

/// Sends the messages of a stream to the client.
///
/// One write at a time: a second one that overlaps fails with `INTERNAL`. A write waits while the client's
/// flow-control window is full. Cancelling the task ends the wait and the call.
public struct ResponseWriter<Message>: Sendable {
    let call: ServerCall
    let codec: MessageCodec<Message>

    /// Sends one message.
    /// - Parameters:
    ///   - message: The message.
    ///   - compressed: `false` sends this message uncompressed on a call that uses compression.
    /// - Throws: `CANCELLED` if the call has ended, and what encoding the message throws.
    public func write(_ message: Message, compressed: Bool = true) async throws {
        try await call.send(codec.encode(message), compressed: compressed)
    }

    /// Sends several messages, which the transport combines into few writes.
    /// - Throws: As ``write(_:compressed:)``. If a message cannot be encoded, the ones before it are sent.
    public func write(contentsOf messages: some Sequence<Message>) async throws {
        var iterator = messages.makeIterator()
        var message = try iterator.next().map(codec.encode)
        while let current = message {
            // Encode the next message first: the last one that is sent must flush the others.
            let next = Result { try iterator.next().map(codec.encode) }
            let hasNext = if case .success(_?) = next { true } else { false }
            try await call.send(current, isBuffered: hasNext)
            message = try next.get()
        }
    }
}
