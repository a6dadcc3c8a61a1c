/// A method of a server: its name, its kind, and what answers its calls.
///
/// A handler has its own task, which begins on the thread that polls the call and resumes there, so it must not block.
/// The task is cancelled when the client cancels or disappears, and at the deadline. An ``RPCError`` that the handler
/// throws becomes the call's status. Any other error becomes `UNKNOWN` with a fixed message.
public struct ServerMethod: Sendable {
    /// `nil` for every method that has no ``ServerMethod`` of its own.
    package let path: String?
    /// Whether the call can have more than one request or response.
    package let isStreaming: Bool
    /// Whether the binding receives the client's first message before it calls ``answer``.
    package let readsFirstMessage: Bool
    /// Whether the call can have many responses, but no request after the first one.
    var onlySends: Bool { isStreaming && readsFirstMessage }
    /// Answers a call, and ends it with ``ServerCall/conclude(_:)``, now or later. Runs on the thread of the call's queue
    /// and must not wait. `nil` if the server does not have the method.
    let answer: (@Sendable (ServerCall) -> Void)?
    private(set) var slotCount = 32

    init(path: String?, isStreaming: Bool, readsFirstMessage: Bool, answer: (@Sendable (ServerCall) -> Void)?) {
        self.path = path
        self.isStreaming = isStreaming
        self.readsFirstMessage = readsFirstMessage
        self.answer = answer
    }

    /// One request, one response.
    public static func unary<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ServerContext) async throws -> Response
    ) -> ServerMethod {
        ServerMethod(path: descriptor.path, isStreaming: false, readsFirstMessage: true) { call in
            call.answerInTask { call in
                let request = try call.decodeFirstMessage(descriptor.requests)
                return try descriptor.responses.encode(try await handler(request, ServerContext(call: call)))
            }
        }
    }

    /// One request, a stream of responses. The stream ends when the handler returns.
    public static func serverStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (Request, ResponseWriter<Response>, ServerContext) async throws -> Void
    ) -> ServerMethod {
        ServerMethod(path: descriptor.path, isStreaming: true, readsFirstMessage: true) { call in
            call.answerInTask { call in
                let request = try call.decodeFirstMessage(descriptor.requests)
                let writer = ResponseWriter(call: call, codec: descriptor.responses)
                try await handler(request, writer, ServerContext(call: call))
                return nil
            }
        }
    }

    /// A stream of requests, one response.
    public static func clientStreaming<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        handler: @escaping @Sendable (RequestStream<Request>, ServerContext) async throws -> Response
    ) -> ServerMethod {
        ServerMethod(path: descriptor.path, isStreaming: true, readsFirstMessage: false) { call in
            call.answerInTask { call in
                let requests = RequestStream(call: call, codec: descriptor.requests)
                return try descriptor.responses.encode(try await handler(requests, ServerContext(call: call)))
            }
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
        streaming(path: descriptor.path, descriptor.requests, descriptor.responses, handler)
    }

    /// Every method that the server has no other ``ServerMethod`` for, with a call in parts: for proxies, and for
    /// generators with types of their own. At most one in a server.
    ///
    /// The messages are bytes, as many as the peers send. The method's name is the context's ``ServerContext/path``.
    /// Returning ends the call with OK, a thrown ``RPCError`` with its status. Metadata comes from the context and is
    /// sent with it.
    public static func anyMethod(
        handler:
            @escaping @Sendable (
                RequestStream<ByteBuffer>, ResponseWriter<ByteBuffer>, ServerContext
            ) async throws -> Void
    ) -> ServerMethod {
        streaming(path: nil, .bytes, .bytes, handler)
    }

    private static func streaming<Request, Response>(
        path: String?,
        _ requests: MessageCodec<Request>,
        _ responses: MessageCodec<Response>,
        _ handler:
            @escaping @Sendable (
                RequestStream<Request>, ResponseWriter<Response>, ServerContext
            ) async throws -> Void
    ) -> ServerMethod {
        ServerMethod(path: path, isStreaming: true, readsFirstMessage: false) { call in
            call.answerInTask { call in
                let writer = ResponseWriter(call: call, codec: responses)
                try await handler(RequestStream(call: call, codec: requests), writer, ServerContext(call: call))
                return nil
            }
        }
    }

    /// One request, one response, without a task: the primitive below ``unary(_:handler:)``. For calls that are answered
    /// at once, or by another thread, for example one that commits many to a disk together.
    /// - Parameters:
    ///   - descriptor: The method.
    ///   - responder: Takes the request and returns without waiting. It answers with the ``Reply``, then or later.
    public static func responder<Request, Response>(
        _ descriptor: MethodDescriptor<Request, Response>,
        _ responder: @escaping @Sendable (Request, ServerContext, consuming Reply<Response>) -> Void
    ) -> ServerMethod {
        let (requests, encode) = (descriptor.requests, descriptor.responses.encode)
        return ServerMethod(path: descriptor.path, isStreaming: false, readsFirstMessage: true) { call in
            let request: Request
            do {
                request = try call.decodeFirstMessage(requests)
            } catch {
                return call.conclude(.failure(error))
            }
            responder(request, ServerContext(call: call), Reply(call: call, encode: encode))
        }
    }

    /// The answer to methods that the server does not have.
    static let unknown = ServerMethod(path: nil, isStreaming: false, readsFirstMessage: true, answer: nil).slots(1)

    /// The same method with another number of slots than 32: how many calls the core can announce on each completion
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

extension ServerCall {
    func decodeFirstMessage<Request>(_ codec: MessageCodec<Request>) throws -> Request {
        let message = try takeReceivedMessage()
        guard !receivingFailed else {
            // The client reset the call, or half-closed it without a message. If the deadline has passed, it does not
            // wait for a status.
            if let timeRemaining, timeRemaining <= .zero { peerLeft() }
            throw RPCError.peerIsGone
        }
        guard let message else {
            throw RPCError(code: .invalidArgument, message: "the call ended before its request message")
        }
        return try codec.decode(request: message)
    }
}
