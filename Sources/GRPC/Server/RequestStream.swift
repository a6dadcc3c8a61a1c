internal import Synchronization

/// The messages that a client streams to one call: an asynchronous sequence for one reader.
///
/// It ends when the client has sent its last message. Messages that are not read stay with the client, once the
/// flow-control window is full.
public struct RequestStream<Message: WireMessage>: AsyncSequence, Sendable {
    let call: ServerCall

    /// The iteration over the messages, of which there can be one.
    public func makeAsyncIterator() -> Iterator {
        Iterator(call: call)
    }

    /// Receives one message after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let call: ServerCall

        /// The next message; `nil` after the last. One at a time.
        /// - Throws: `CANCELLED` when the client is gone, `INVALID_ARGUMENT` for bytes that are no such message.
        public mutating func next() async throws(RPCError) -> Message? {
            if let message = try await call.receiveMessage() {
                call.state.withLock { $0.hasReceivedMessage = true }
                return try Message(decodingRequest: message)
            }
            guard !call.receivingFailed else { throw .peerIsGone }
            return nil
        }
    }
}
