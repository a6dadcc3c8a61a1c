/// A method of a server: its name, its shape, and the handler that answers its calls.
///
/// The handler runs on the thread that polls the call, so it must not block; in a task of its own, unless it is said to
/// take none. The task is cancelled when the client cancels, disappears, or its deadline passes. An ``RPCError`` that the
/// handler throws becomes the call's status; any other error becomes `UNKNOWN` with a fixed message.
public struct ServerMethod: Sendable {
    let path: String
    /// Whether the call outlives one exchange of messages.
    let isStreaming: Bool
    /// Whether the client's first message is received before the handler is called.
    let readsFirstMessage: Bool
    let handler: Handler
    private(set) var slotCount = 64

    /// Answers a call. Returns the message that goes with the status, if there is one.
    enum Handler {
        /// Without waiting: needs no task.
        case immediate(@Sendable (ServerCall) throws -> ByteBuffer?)
        case task(@Sendable (ServerCall) async throws -> ByteBuffer?)
        /// By somebody else, later: needs no task either.
        case deferred(@Sendable (ServerCall, CallObserver?) throws -> Void)
        /// Without a task too: with what a source gives.
        case following(Broadcast, Opening)
    }

    /// Begins to answer a call: with what, after which initial metadata.
    typealias Opening = @Sendable (ServerCall) throws -> (initialMetadata: Metadata, next: Broadcast.Source)

    private init(
        _ path: String,
        isStreaming: Bool,
        readsFirstMessage: Bool,
        handle: @escaping @Sendable (ServerCall) async throws -> ByteBuffer?
    ) {
        self.path = path
        self.isStreaming = isStreaming
        self.readsFirstMessage = readsFirstMessage
        handler = .task(handle)
    }

    /// One request, one response, by a handler that waits for nothing: the call takes no task, which costs less.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        immediateHandler handler: @escaping @Sendable (Request, ServerContext) throws -> Response
    ) -> ServerMethod {
        let handler = Handler.immediate { call in
            try handler(try Request(decodingFirstMessageOf: call), ServerContext(call: call)).encoded()
        }
        return ServerMethod(path: descriptor.path, isStreaming: false, handler: handler)
    }

    /// One request, and one response that is given later, from any thread: the call takes no task, which costs less.
    ///
    /// For answers that come for many calls at once, from a thread that commits to a disk for example. Nobody is told when
    /// the client is gone meanwhile; what it would have got is dropped.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - handler: Takes the request, and returns without waiting. What it throws ends the call.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        deferredHandler handler:
            @escaping @Sendable (Request, ServerContext, DeferredResponse<Response>) throws -> Void
    ) -> ServerMethod {
        let handler = Handler.deferred { call, observer in
            let request = try Request(decodingFirstMessageOf: call)
            let response = DeferredResponse<Response>(DeferredAnswer(call: call, observer: observer))
            do {
                try handler(request, ServerContext(call: call), response)
            } catch {
                response.fail(error)
            }
        }
        return ServerMethod(path: descriptor.path, isStreaming: false, handler: handler)
    }

    private init(path: String, isStreaming: Bool, handler: Handler) {
        self.path = path
        self.isStreaming = isStreaming
        readsFirstMessage = true
        self.handler = handler
    }

    /// One request, one response.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ServerContext) async throws -> Response
    ) -> ServerMethod {
        ServerMethod(descriptor.path, isStreaming: false, readsFirstMessage: true) { call in
            let request = try Request(decodingFirstMessageOf: call)
            return try await handler(request, ServerContext(call: call)).encoded()
        }
    }

    /// One request, a stream of responses. The stream ends when the handler returns.
    public static func serverStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ResponseWriter<Response>, ServerContext) async throws -> Void
    ) -> ServerMethod {
        ServerMethod(descriptor.path, isStreaming: true, readsFirstMessage: true) { call in
            let request = try Request(decodingFirstMessageOf: call)
            try await handler(request, ResponseWriter(call: call), ServerContext(call: call))
            return nil
        }
    }

    /// One request, and as responses what follows a broadcast, until that throws or the client is gone. As
    /// ``ResponseWriter/follow(_:next:)`` in a handler; but the call takes no task, which saves some kilobytes for each.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - broadcast: Says when there is more to send.
    ///   - open: Begins a call without waiting: gives the initial metadata, which is sent at once, and what to send after
    ///     it.
    public static func serverStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        following broadcast: Broadcast,
        open: @escaping @Sendable (Request, ServerContext) throws -> (initialMetadata: Metadata, next: Broadcast.Source)
    ) -> ServerMethod {
        let handler = Handler.following(broadcast) { call in
            try open(try Request(decodingFirstMessageOf: call), ServerContext(call: call))
        }
        return ServerMethod(path: descriptor.path, isStreaming: true, handler: handler)
    }
}

extension ServerMethod {
    /// The same method with another number of slots than 64: calls that the core may announce on each completion queue
    /// before that has looked. Calls beyond them go to another queue, or wait for one to be free.
    ///
    /// A slot takes about a kilobyte, and in a core that was built with its debug checks each makes every event on the
    /// queue a little dearer. So few are better for a method that is rarely called.
    /// - Parameter count: At least 1.
    public func slots(_ count: Int) -> ServerMethod {
        var method = self
        method.slotCount = max(1, count)
        return method
    }

    /// A stream of requests, one response.
    public static func clientStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (RequestStream<Request>, ServerContext) async throws -> Response
    ) -> ServerMethod {
        ServerMethod(descriptor.path, isStreaming: true, readsFirstMessage: false) { call in
            try await handler(RequestStream(call: call), ServerContext(call: call)).encoded()
        }
    }

    /// A stream of requests and a stream of responses, each at its own pace. The call ends when the handler returns.
    public static func bidirectional<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler:
            @escaping @Sendable (
                RequestStream<Request>, ResponseWriter<Response>, ServerContext
            ) async throws -> Void
    ) -> ServerMethod {
        ServerMethod(descriptor.path, isStreaming: true, readsFirstMessage: false) { call in
            try await handler(RequestStream(call: call), ResponseWriter(call: call), ServerContext(call: call))
            return nil
        }
    }
}

extension WireMessage {
    fileprivate init(decodingFirstMessageOf call: ServerCall) throws {
        let message = try call.takeReceivedMessage()
        guard !call.receivingFailed else {
            // Reset, or half-closed without a message by a client that still waits for its status: unless its time is up.
            if let remaining = call.timeRemaining, remaining <= .zero { call.peerLeft() }
            throw RPCError.peerIsGone
        }
        guard let message else {
            throw RPCError(code: .invalidArgument, message: "the call ended before its request message")
        }
        try self.init(decodingRequest: message)
    }

    init(decodingRequest message: ByteBuffer) throws(RPCError) {
        do {
            try self.init(decoding: message)
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(code: .invalidArgument, message: "the request message could not be decoded", cause: error)
        }
    }
}
