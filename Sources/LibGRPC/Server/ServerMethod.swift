/// A method of a server: its name, its kind, and the handler that answers its calls.
///
/// The handler runs on the thread that polls the call, so it must not block. It has its own task, unless the method
/// says otherwise. The task is cancelled when the client cancels or disappears, and at the deadline. An ``RPCError``
/// that the handler throws becomes the call's status. Any other error becomes `UNKNOWN` with a fixed message.
public struct ServerMethod: Sendable {
    let path: String
    /// Whether the call can have more than one request or response.
    let isStreaming: Bool
    /// Whether the binding receives the client's first message before it calls the handler.
    let readsFirstMessage: Bool
    let handler: Handler
    private(set) var slotCount = 64

    /// Answers a call. Returns the message that is sent with the status, if any.
    enum Handler {
        /// Returns without waiting, so it needs no task.
        case immediate(@Sendable (ServerCall) throws -> ByteBuffer?)
        case task(@Sendable (ServerCall) async throws -> ByteBuffer?)
        /// Another thread answers later. Needs no task.
        case deferred(@Sendable (ServerCall, CallObserver?) throws -> Void)
        /// Sends what a source returns. Needs no task.
        case following(Broadcast, Opening)
    }

    /// Opens a stream: returns its initial metadata and its source.
    typealias Opening = @Sendable (ServerCall) throws -> (initialMetadata: Metadata, next: Broadcast.Source)

    private init(path: String, isStreaming: Bool, readsFirstMessage: Bool = true, handler: Handler) {
        self.path = path
        self.isStreaming = isStreaming
        self.readsFirstMessage = readsFirstMessage
        self.handler = handler
    }

    /// One request, one response, by a handler that never waits. Cheaper, because the call needs no task.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        immediateHandler handler: @escaping @Sendable (Request, ServerContext) throws -> Response
    ) -> ServerMethod {
        let handler = Handler.immediate { call in
            try handler(try Request(decodingFirstMessageOf: call), ServerContext(call: call)).encoded()
        }
        return ServerMethod(path: descriptor.path, isStreaming: false, handler: handler)
    }

    /// One request, and one response that any thread gives later. Cheaper, because the call needs no task.
    ///
    /// For many answers that come together, for example from a thread that commits to a disk. The handler is not
    /// notified if the client disappears; its response is dropped then.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - handler: Takes the request and returns without waiting. An error that it throws ends the call.
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

    /// One request, one response.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ServerContext) async throws -> Response
    ) -> ServerMethod {
        let handler = Handler.task { call in
            let request = try Request(decodingFirstMessageOf: call)
            return try await handler(request, ServerContext(call: call)).encoded()
        }
        return ServerMethod(path: descriptor.path, isStreaming: false, handler: handler)
    }

    /// One request, a stream of responses. The stream ends when the handler returns.
    public static func serverStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ResponseWriter<Response>, ServerContext) async throws -> Void
    ) -> ServerMethod {
        let handler = Handler.task { call in
            let request = try Request(decodingFirstMessageOf: call)
            try await handler(request, ResponseWriter(call: call), ServerContext(call: call))
            return nil
        }
        return ServerMethod(path: descriptor.path, isStreaming: true, handler: handler)
    }

    /// One request, and the messages of a broadcast as responses, until its source throws or the client is gone.
    ///
    /// Like ``ResponseWriter/follow(_:next:)`` in a handler, but without a task, which saves 2.5 KiB per call.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - broadcast: Notifies about new messages.
    ///   - open: Opens a call without waiting. Returns the initial metadata, which is sent at once, and the source of
    ///     the messages.
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

    /// A stream of requests, one response.
    public static func clientStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (RequestStream<Request>, ServerContext) async throws -> Response
    ) -> ServerMethod {
        let handler = Handler.task { call in
            try await handler(RequestStream(call: call), ServerContext(call: call)).encoded()
        }
        return ServerMethod(path: descriptor.path, isStreaming: true, readsFirstMessage: false, handler: handler)
    }

    /// A stream of requests and a stream of responses, each at its own pace. The call ends when the handler returns.
    public static func bidirectional<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler:
            @escaping @Sendable (
                RequestStream<Request>, ResponseWriter<Response>, ServerContext
            ) async throws -> Void
    ) -> ServerMethod {
        let handler = Handler.task { call in
            try await handler(RequestStream(call: call), ResponseWriter(call: call), ServerContext(call: call))
            return nil
        }
        return ServerMethod(path: descriptor.path, isStreaming: true, readsFirstMessage: false, handler: handler)
    }

    /// The same method with another number of slots than 64: how many calls the core can announce on each completion
    /// queue before the queue handles them. Further calls go to another queue or wait for a slot.
    ///
    /// A slot uses about 1 KiB. In a core with debug checks, each slot also makes every event on the queue slightly
    /// slower. Use few for a method that is rarely called.
    /// - Parameter count: At least 1.
    public func slots(_ count: Int) -> ServerMethod {
        var method = self
        method.slotCount = max(1, count)
        return method
    }
}

extension WireMessage {
    fileprivate init(decodingFirstMessageOf call: ServerCall) throws {
        let message = try call.takeReceivedMessage()
        guard !call.receivingFailed else {
            // The client reset the call, or half-closed it without a message. If the deadline has passed, it does not
            // wait for a status.
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
