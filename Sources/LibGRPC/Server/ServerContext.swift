internal import Synchronization

/// What a handler can learn about its call, and send to the client besides messages. Thread-safe.
///
/// A call counts as open as long as somebody holds its context.
public struct ServerContext: Sendable {
    let call: ServerCall

    /// The method's path, `/service/method`.
    public var path: String { call.registration.method.path }

    /// The client's address in the core's form, for example `ipv4:127.0.0.1:4242`. Not authenticated.
    public var peer: String { call.peer }

    /// The names in the client's certificate: its subject alternative names, else its common name. Empty without
    /// mutual TLS. Each use makes a copy.
    public var peerIdentities: [String] { call.peerIdentities }

    /// The metadata that the client sent with the call. Each use makes a copy.
    public var metadata: Metadata { call.metadata }

    /// The time until the client's deadline: `nil` without a deadline, negative after it. At the deadline the
    /// handler's task is cancelled.
    public var timeRemaining: Duration? { call.timeRemaining }

    /// Sends initial metadata now, before the first message. Without this call, the first message brings empty initial
    /// metadata.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `INTERNAL` if initial metadata or a message
    ///   has been sent, `CANCELLED` if the client is gone.
    public func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        try await call.sendInitialMetadata(metadata)
    }

    /// Compresses the following responses if the client can decompress them. Call it before initial metadata is sent.
    /// It has no effect unless ``ServerOptions/acceptedCompression`` has an algorithm.
    public func setCompression(_ compression: CompressionAlgorithm) {
        call.setCompression(compression)
    }

    /// Sets the metadata that is sent with the status, replacing earlier ones. An ``RPCError`` adds its own. If gRPC
    /// does not allow an entry, none is sent: the status matters more.
    ///
    /// Keep it small. Clients limit the metadata that they accept, by default to 8 KiB in most libraries, counted with
    /// 32 bytes per entry on top of key and value. The status message takes up to 4 KiB of that; a longer one is cut. If
    /// the limit is exceeded, the client gets `RESOURCE_EXHAUSTED` instead of the status.
    public func setTrailingMetadata(_ metadata: Metadata) {
        call.setTrailingMetadata(metadata)
    }
}

/// The messages that a client streams to one call: an asynchronous sequence for one reader.
///
/// It ends after the client's last message. Unread messages stay with the client once the flow-control window is full.
public struct RequestStream<Message: WireMessage>: AsyncSequence, Sendable {
    let call: ServerCall

    /// The iterator. Make only one.
    public func makeAsyncIterator() -> Iterator {
        Iterator(call: call)
    }

    /// Receives one message after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let call: ServerCall

        /// The next message; `nil` after the last. One call at a time.
        /// - Throws: `CANCELLED` if the client is gone, `INVALID_ARGUMENT` if the message cannot be decoded.
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

/// Sends the messages of a stream to the client.
///
/// One write at a time: a second one that overlaps fails with `INTERNAL`. A write waits while the client's
/// flow-control window is full. Cancelling the task ends the wait and the call.
public struct ResponseWriter<Message: WireMessage>: Sendable {
    let call: ServerCall

    /// Sends one message.
    /// - Parameters:
    ///   - message: The message.
    ///   - compressed: `false` sends this message uncompressed on a call that uses compression.
    /// - Throws: `CANCELLED` if the client is gone, and what encoding the message throws.
    public func write(_ message: Message, compressed: Bool = true) async throws {
        try await call.send(message.encoded(), compressed: compressed)
    }

    /// Sends what `next` returns, until it throws or the call ends. `next` is called at the start, at each
    /// notification of the broadcast, and when the client has accepted the last message.
    ///
    /// For many streams that get the same messages, encoded once. It costs a fraction of a wake-up with a
    /// ``write(_:compressed:)``. Call it in the handler's own task, because a task made with `Task {}` runs on other
    /// threads. One at a time: a second one that overlaps fails with `INTERNAL`. Cancelling the task cancels the call.
    /// - Parameters:
    ///   - broadcast: Notifies about new messages. It belongs to the server's group.
    ///   - next: Returns the messages.
    /// - Throws: Always: what `next` throws, `CANCELLED` if the client is gone, `INTERNAL` with a ``MisuseError`` in
    ///   another task or with another group's broadcast.
    public func follow(_ broadcast: Broadcast, next: @escaping Broadcast.Source) async throws {
        try await call.follow(broadcast, next)
    }

    /// Sends several messages, which the transport combines into few writes.
    /// - Throws: As ``write(_:compressed:)``. If a message cannot be encoded, the ones before it are sent.
    public func write(contentsOf messages: some Sequence<Message>) async throws {
        var iterator = messages.makeIterator()
        var message = try iterator.next()?.encoded()
        while let current = message {
            // Encode the next message first: the last one that is sent must flush the others.
            let next = Result { try iterator.next()?.encoded() }
            let hasNext = if case .success(_?) = next { true } else { false }
            try await call.send(current, isBuffered: hasNext)
            message = try next.get()
        }
    }
}

/// The response of a call whose handler returns before there is one, see ``ServerMethod/unary(_:deferredHandler:)``.
///
/// Only the first result counts. If you drop it without a result, the call ends with `INTERNAL`. A server's shutdown
/// waits for it within the grace period. Thread-safe.
public struct DeferredResponse<Response: WireMessage>: Sendable {
    private let answer: DeferredAnswer

    init(_ answer: DeferredAnswer) {
        self.answer = answer
    }

    /// Ends the call with a response. Responses that are given together leave in few writes.
    public func succeed(_ response: Response) {
        answer.give(Result { try response.encoded() })
    }

    /// Ends the call with an error, like a handler that throws it.
    public func fail(_ error: any Error) {
        answer.give(.failure(error))
    }
}

/// The part of ``DeferredResponse`` that does not depend on its type: Swift looks generic classes up by name at each
/// use. Releases the call at its end.
final class DeferredAnswer: TurnWork {
    private let state: Mutex<State>

    private enum State {
        case pending(ServerCall, CallObserver?)
        case given(ServerCall, CallObserver?, Result<ByteBuffer?, any Error>)
        case done
    }

    init(call: ServerCall, observer: CallObserver?) {
        state = Mutex(.pending(call, observer))
    }

    func give(_ result: Result<ByteBuffer, any Error>) {
        let queue = state.withLock { state -> CompletionQueue? in
            guard case .pending(let call, let observer) = state else { return nil }
            state = .given(call, observer, result.map(Optional.some))
            return call.queue
        }
        queue?.perform(self)
    }

    func run() {
        if case .given(let call, let observer, let result) = finish() { call.conclude(result, observer) }
    }

    deinit {
        switch finish() {
        case .pending(let call, let observer):
            call.conclude(.failure(RPCError(code: .internal, message: "the call was not answered")), observer)
        case .given(let call, let observer, let result):
            // The queue has ended and dropped this work.
            call.conclude(result, observer)
        case .done: break
        }
    }

    private func finish() -> State {
        state.withLock { state in
            defer { state = .done }
            return state
        }
    }
}
