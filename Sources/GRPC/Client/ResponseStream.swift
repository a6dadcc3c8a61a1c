/// The messages that a server streams to one call: an asynchronous sequence for one reader.
///
/// It ends when the server ends the call with OK, and throws ``RPCError`` when the call ends with another status.
/// Messages that are not read stay with the server, once the flow-control window is full. The call is cancelled when the
/// task that reads is cancelled, by ``cancel()``, and when the stream is released. Thread-safe.
public final class ResponseStream<Message: WireMessage>: AsyncSequence, Sendable {
    private let call: ClientCall
    private let metadata: Task<Metadata, any Error>

    init(call: ClientCall) {
        self.call = call
        metadata = Task.immediate { try await call.initialMetadata() }
    }

    deinit {
        call.cancel()
    }

    /// What the server sent before its messages. Waits for it. Empty is no sign that the server has taken the call: it is so
    /// for one that the server ended with a status alone, and may be for one that failed before the server said anything.
    /// - Throws: ``RPCError`` if the call never reached the server.
    public var initialMetadata: Metadata {
        get async throws {
            try await withTaskCancellationHandler {
                try await metadata.value
            } onCancel: {
                call.cancel()
            }
        }
    }

    /// What the server sent with the status. Waits for the end of the call, which comes after all messages have been
    /// read.
    public var trailingMetadata: Metadata {
        get async {
            await call.end()
            return call.trailingMetadata
        }
    }

    /// Ends the call; a reader gets `CANCELLED`.
    public func cancel() {
        call.cancel()
    }

    /// The iteration over the messages, of which there can be one.
    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    /// Receives one message after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let stream: ResponseStream

        /// The next message; `nil` when the call has ended with OK. One at a time.
        public mutating func next() async throws(RPCError) -> Message? {
            let call = stream.call
            if let message = try await call.receiveMessage() {
                return try Message(decodingReceived: message)
            }
            await call.end()
            if let error = call.receivedError { throw error }
            return nil
        }
    }
}
