internal import CGRPC

/// A client's connection to a service, made when it is first needed and made anew whenever it breaks. Thread-safe.
///
/// A call keeps the channel alive; the connection is closed when the last reference to the channel is gone.
///
/// `@unchecked`: the core's channel handle is thread-safe.
public final class Channel: @unchecked Sendable {
    let handle: OpaquePointer
    let group: CompletionQueueGroup
    let interceptors: [ClientInterceptor]
    let socket = ChannelSocket()
    let compresses: Bool

    /// - Parameters:
    ///   - target: A URI that the core's resolvers know, such as `dns:///HOST:PORT` or `unix:/path`, percent-encoded where URIs
    ///     need it. `HOST:PORT` alone works for hosts that are not named like a resolver's scheme, as `dns` is.
    ///   - credentials: What is shown to the server and wanted of it.
    ///   - interceptors: What sees each call, in this order.
    ///   - options: Limits and timing.
    ///   - group: Where the channel's calls are polled. A call is on the queue whose thread begins it, if any.
    public init(
        target: String,
        credentials: ChannelCredentials = .insecure,
        interceptors: [ClientInterceptor] = [],
        options: ChannelOptions = ChannelOptions(),
        group: CompletionQueueGroup
    ) {
        self.interceptors = interceptors
        self.group = group
        compresses = options.compresses
        // Never NULL: a senseless target makes a channel whose calls fail.
        var arguments = options.arguments
        arguments.set(socket)
        handle = arguments.withCoreArguments { arguments in
            credentials.withHandle { grpc_channel_create(target, $0, arguments) }
        }
        group.channelBegan(socket)
    }

    deinit {
        group.channelEnded(socket)
        grpc_channel_destroy(handle)
    }
}

// MARK: - Calls

extension Channel {
    /// Calls a method with one request and one response.
    ///
    /// Cancelling the task cancels the call.
    /// - Throws: ``RPCError`` with the server's status, or one of the core's: `UNAVAILABLE`, `DEADLINE_EXCEEDED`,
    ///   `CANCELLED`, `RESOURCE_EXHAUSTED`, `INTERNAL`.
    public func unary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) async throws(RPCError) -> Response {
        let message = try request.encodedForSending()
        let call = try ClientCall(channel: self, path: method.path, options: options)
        return try Response(decodingReceived: try await call.exchange(message))
    }

    /// As ``unary(_:_:options:)``, with the metadata that the server sent beside its response.
    public func unaryResponse<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) async throws(RPCError) -> UnaryResponse<Response> {
        let message = try request.encodedForSending()
        let call = try ClientCall(channel: self, path: method.path, options: options)
        return UnaryResponse(
            message: try Response(decodingReceived: try await call.exchange(message)),
            initialMetadata: call.receivedInitialMetadata,
            trailingMetadata: call.trailingMetadata
        )
    }

    /// As ``unary(_:_:options:)``, for a caller that is no task, an event loop of its own for example.
    ///
    /// The call is begun on the thread of its completion queue, with what else is sent in that thread's turn.
    /// - Parameters:
    ///   - method: What to call.
    ///   - request: What to send.
    ///   - options: How the call is made.
    ///   - completion: Called once, unless this throws: on that thread, which it may not block; on any, with `UNAVAILABLE`, once
    ///     the group has been shut down.
    /// - Returns: The call, which goes on when it is let go of.
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` once the group has been shut down, and
    ///   what encoding the request throws.
    @discardableResult
    public func unary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions(),
        completion: @escaping @Sendable (Result<Response, RPCError>) -> Void
    ) throws(RPCError) -> UnaryCall {
        let message = try request.encodedForSending()
        let call = try ClientCall(channel: self, path: method.path, options: options)
        call.exchange(message) { response in
            completion(
                Result { () throws(RPCError) in try Response(decodingReceived: try response.get()) }
            )
        }
        return UnaryCall(call: call)
    }

    /// Calls a method with one request and a stream of responses.
    ///
    /// Returns at once; what goes wrong is thrown by the stream.
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` once the group has been shut down, and
    ///   what encoding the request throws.
    public func serverStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> ResponseStream<Response> {
        let message = try request.encodedForSending()
        let call = try ClientCall(channel: self, path: method.path, options: options, isStream: true)
        try call.startStream(message)
        return ResponseStream(call: call)
    }
}

extension Channel {
    /// Calls a method with a stream of requests and one response.
    ///
    /// Returns at once; what goes wrong is thrown by the parts of the call.
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` once the group has been shut down.
    public func clientStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> ClientStreamingCall<Request, Response> {
        let call = try ClientCall(channel: self, path: method.path, options: options)
        try call.startStreams()
        return ClientStreamingCall(call: call)
    }

    /// Calls a method with a stream of requests and a stream of responses.
    ///
    /// Returns at once; what goes wrong is thrown by the parts of the call.
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `UNAVAILABLE` once the group has been shut down.
    public func bidirectional<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        options: CallOptions = CallOptions()
    ) throws(RPCError) -> BidirectionalCall<Request, Response> {
        let call = try ClientCall(channel: self, path: method.path, options: options, isStream: true)
        try call.startStreams()
        return BidirectionalCall(call: call)
    }
}

extension WireMessage {
    func encodedForSending() throws(RPCError) -> ByteBuffer {
        do {
            return try encoded()
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(code: .internal, message: "the request could not be encoded", cause: error)
        }
    }

    init(decodingReceived message: ByteBuffer) throws(RPCError) {
        do {
            try self.init(decoding: message)
        } catch {
            // Whatever decoding says: to the caller INVALID_ARGUMENT would mean that its request was refused.
            throw RPCError(code: .internal, message: "the response could not be decoded", cause: error)
        }
    }
}
