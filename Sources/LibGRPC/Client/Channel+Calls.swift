extension Channel {
    /// Calls a method with one request and one response. Cancelling the task cancels the call.
    ///
    /// - Throws: ``RPCError`` with the server's status, or one of the core's: `UNAVAILABLE`, `DEADLINE_EXCEEDED`,
    ///   `CANCELLED`, `RESOURCE_EXHAUSTED`, `INTERNAL`.
    public func unary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) async throws(RPCError) -> Response {
        let message = try method.requests.encode(request: request)
        let call = try ClientCall(channel: self, path: method.path, options: options)
        return try method.responses.decode(response: try await call.exchange(message))
    }

    /// As ``unary(_:_:options:)``, with the metadata that the server sent.
    public func unaryResponse<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) async throws(RPCError) -> UnaryResponse<Response> {
        let message = try method.requests.encode(request: request)
        let call = try ClientCall(channel: self, path: method.path, options: options)
        return UnaryResponse(
            message: try method.responses.decode(response: try await call.exchange(message)),
            initialMetadata: call.receivedInitialMetadata,
            trailingMetadata: call.trailingMetadata
        )
    }

    /// As ``unary(_:_:options:)``, without a task, for callers that have their own event loop.
    ///
    /// The thread of the call's completion queue begins the call. The call is sent together with everything else of
    /// that thread's turn.
    /// - Parameters:
    ///   - method: The method to call.
    ///   - request: The request message.
    ///   - options: Options of this call.
    ///   - completion: Called once on that thread, unless this throws. It must not block. After the group has been shut
    ///     down it is called on any thread, with `UNAVAILABLE`.
    /// - Returns: A handle to cancel the call. Releasing it does not end the call.
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` if the group has been shut
    ///   down, and what encoding the request throws.
    @discardableResult
    public func unary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions(),
        completion: @escaping @Sendable (Result<Response, RPCError>) -> Void
    ) throws(RPCError) -> UnaryCall {
        let message = try method.requests.encode(request: request)
        let call = try ClientCall(channel: self, path: method.path, options: options)
        call.exchange(message) { response in
            completion(Result { () throws(RPCError) in try method.responses.decode(response: try response.get()) })
        }
        return UnaryCall(call: call)
    }

    /// Calls a method with one request and a stream of responses. Returns at once; the stream throws the call's errors.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` if the group has been shut
    ///   down, and what encoding the request throws.
    public func serverStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> ResponseStream<Response> {
        let message = try method.requests.encode(request: request)
        let call = try ClientCall(channel: self, path: method.path, options: options)
        try call.startStream(message)
        return ResponseStream(call: call, codec: method.responses)
    }

    /// Calls a method with a stream of requests and one response. Returns at once; the call's parts throw its errors.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` if the group has been shut
    ///   down.
    public func clientStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> ClientStreamingCall<Request, Response> {
        let call = try ClientCall(channel: self, path: method.path, options: options)
        try call.startStreams()
        return ClientStreamingCall(call: call, method: method)
    }

    /// Calls a method with a stream of requests and a stream of responses. Returns at once; the call's parts throw its
    /// errors.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` if the group has been shut
    ///   down.
    public func bidirectional<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> BidirectionalCall<Request, Response> {
        let call = try ClientCall(channel: self, path: method.path, options: options)
        try call.startStreams()
        return BidirectionalCall(call: call, method: method)
    }
}

/// The response of a unary call, and its metadata.
public struct UnaryResponse<Message: Sendable>: Sendable {
    /// The response.
    public var message: Message
    /// What the server sent before the response.
    public var initialMetadata: Metadata
    /// What the server sent with the status.
    public var trailingMetadata: Metadata
}

/// A handle to a unary call with a callback. Releasing it does not end the call. Thread-safe.
public struct UnaryCall: Sendable {
    private let reference: Reference

    init(call: ClientCall) {
        reference = Reference(call)
    }

    /// Ends the call with `CANCELLED`, unless it has ended already.
    public func cancel() {
        reference.call?.cancel()
    }

    /// Weak, so that the thread where the call ends releases it. If another thread does, the threads contend in the
    /// core, which costs a client with many calls a tenth of its CPU time.
    ///
    /// `@unchecked`: set once before it is shared, and a weak reference is cleared atomically.
    private final class Reference: @unchecked Sendable {
        private(set) weak var call: ClientCall?

        init(_ call: ClientCall) {
            self.call = call
        }
    }
}
