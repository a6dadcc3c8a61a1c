internal import Synchronization

/// Sends the messages of a stream to the server.
///
/// One write at a time: a second one that begins before the first has returned fails with `INTERNAL` and a
/// ``MisuseError``. A write waits while the server's flow control accepts no more. Cancelling the task ends the wait
/// and the call.
public struct RequestWriter<Message>: Sendable {
    let call: ClientCall
    let codec: MessageCodec<Message>

    /// Sends one message.
    /// - Parameters:
    ///   - message: The message.
    ///   - compressed: `false` sends this message uncompressed on a call whose messages are compressed.
    /// - Throws: ``RPCError`` if the call has ended: with its status if that is known, else with `CANCELLED`. The
    ///   responses then throw the status. `INTERNAL` after ``finish()``. Also what encoding the message throws.
    public func write(_ message: Message, compressed: Bool = true) async throws(RPCError) {
        try await call.send(try codec.encode(request: message), compressed: compressed)
    }

    /// Ends the stream of requests. At most once.
    ///
    /// - Throws: As ``write(_:compressed:)``.
    public func finish() async throws(RPCError) {
        try await call.sendClose()
    }
}

/// The messages that a server streams to one call, for one reader.
///
/// It ends when the server ends the call with OK, and throws ``RPCError`` when the call ends with another status. If
/// the reader is slow, the server waits once the flow-control window is full. ``cancel()``, cancelling the reading task
/// and releasing the stream each cancel the call. Thread-safe.
public final class ResponseStream<Message>: AsyncSequence, Sendable {
    private let call: ClientCall
    private let codec: MessageCodec<Message>
    private let metadata: Task<Metadata, any Error>

    init(call: ClientCall, codec: MessageCodec<Message>) {
        self.call = call
        self.codec = codec
        metadata = Task.immediate { try await call.initialMetadata() }
    }

    deinit {
        call.cancel()
    }

    /// What the server sent before its messages. Waits for it.
    ///
    /// Empty does not mean that the server has accepted the call: it is empty if the server sent only a status, and may
    /// be if the call failed before the server sent anything.
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

    /// What the server sent with the status. Waits for the end of the call, so read all messages first.
    public var trailingMetadata: Metadata {
        get async {
            await call.end()
            return call.trailingMetadata
        }
    }

    /// Ends the call. A reader gets `CANCELLED`.
    public func cancel() {
        call.cancel()
    }

    /// Makes the only iterator over the messages.
    public func makeAsyncIterator() -> Iterator {
        Iterator(stream: self)
    }

    /// Receives the messages one by one.
    public struct Iterator: AsyncIteratorProtocol {
        let stream: ResponseStream

        /// The next message; `nil` when the call has ended with OK. One at a time.
        public mutating func next() async throws(RPCError) -> Message? {
            let call = stream.call
            if let message = try await call.receiveMessage() {
                return try stream.codec.decode(response: message)
            }
            await call.end()
            if let error = call.receivedError { throw error }
            return nil
        }
    }
}

/// A call with a stream of requests and one response. Releasing it before its end cancels it. Thread-safe.
public final class ClientStreamingCall<Request, Response>: Sendable {
    private let call: ClientCall
    /// Sends the requests.
    public let requests: RequestWriter<Request>
    private let responses: ResponseStream<Response>
    private let isAwaited = Atomic<Bool>(false)

    init(call: ClientCall, method: MethodDescriptor<Request, Response>) {
        self.call = call
        requests = RequestWriter(call: call, codec: method.requests)
        responses = ResponseStream(call: call, codec: method.responses)
    }

    /// What the server sent before its response. Waits for it.
    public var initialMetadata: Metadata { get async throws { try await responses.initialMetadata } }

    /// What the server sent with the status. Call ``response()`` first: the call does not end before its response has
    /// been received.
    public var trailingMetadata: Metadata { get async { await responses.trailingMetadata } }

    /// Waits for the response and the end of the call. At most once.
    /// - Throws: ``RPCError`` with the call's status if that is not OK. `INTERNAL` with a ``MisuseError`` if called
    ///   twice.
    public func response() async throws(RPCError) -> Response {
        guard !isAwaited.exchange(true, ordering: .relaxed) else { throw .misuse(.secondResponse) }
        var iterator = responses.makeAsyncIterator()
        guard let response = try await iterator.next() else { throw .noResponse }
        // The status comes after the last message, and can still be an error.
        guard try await iterator.next() == nil else {
            call.cancel()
            throw RPCError(code: .internal, message: "the server sent more than one response message")
        }
        return response
    }

    /// Ends the call. Whoever waits for it gets `CANCELLED`.
    public func cancel() {
        call.cancel()
    }
}

/// A call with independent streams of requests and responses. Releasing ``responses`` before the end cancels the call.
/// Thread-safe.
public struct BidirectionalCall<Request, Response>: Sendable {
    /// Sends the requests.
    public let requests: RequestWriter<Request>
    /// Receives the responses.
    public let responses: ResponseStream<Response>

    init(call: ClientCall, method: MethodDescriptor<Request, Response>) {
        requests = RequestWriter(call: call, codec: method.requests)
        responses = ResponseStream(call: call, codec: method.responses)
    }

    /// Ends the call. Whoever waits for it gets `CANCELLED`.
    public func cancel() {
        responses.cancel()
    }
}
