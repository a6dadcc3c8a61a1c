import LibGRPC

/// `grpc.testing.TestService`: what the cases' clients call.
enum InteropServer {
    static var methods: [ServerMethod] {
        [
            .unary(InteropMethods.emptyCall) { request, _ in request },
            .unary(InteropMethods.unaryCall, handler: answer),
            .clientStreaming(InteropMethods.streamingInputCall, handler: measure),
            .serverStreaming(InteropMethods.streamingOutputCall) { request, writer, context in
                try await open(context)
                try await respond(to: request, writer)
            },
            .bidirectional(InteropMethods.fullDuplexCall) { requests, writer, context in
                try await open(context)
                for try await request in requests { try await respond(to: request, writer) }
            },
        ]
    }

    static var options: ServerOptions {
        var options = ServerOptions()
        options.acceptedCompression = [.gzip, .deflate]
        return options
    }

    private static func answer(_ request: SimpleRequest, _ context: ServerContext) async throws -> SimpleResponse {
        try check(request.expectCompressed, context)
        if request.responseCompressed == true { context.setCompression(.gzip) }
        try await echoMetadata(context)
        try end(with: request.responseStatus)
        return SimpleResponse(payload: Payload(size: request.responseSize))
    }

    private static func measure(
        _ requests: RequestStream<StreamingInputCallRequest>,
        _ context: ServerContext
    ) async throws -> StreamingInputCallResponse {
        try await echoMetadata(context)
        var size = 0
        for try await request in requests {
            try check(request.expectCompressed, context)
            size += request.payload?.body.count ?? 0
        }
        return StreamingInputCallResponse(aggregatedPayloadSize: size)
    }

    /// Allows compression; each response decides for itself.
    private static func open(_ context: ServerContext) async throws {
        context.setCompression(.gzip)
        try await echoMetadata(context)
    }

    private static func respond(
        to request: StreamingOutputCallRequest,
        _ writer: ResponseWriter<StreamingOutputCallResponse>
    ) async throws {
        try end(with: request.responseStatus)
        for parameters in request.responseParameters {
            let response = StreamingOutputCallResponse(payload: Payload(size: parameters.size))
            try await writer.write(response, compressed: parameters.compressed ?? false)
        }
    }

    private static func echoMetadata(_ context: ServerContext) async throws {
        let metadata = context.metadata
        if let value = metadata.firstBinary(EchoedMetadata.trailing) {
            context.setTrailingMetadata([EchoedMetadata.trailing: .binary(value)])
        }
        if let value = metadata.first(EchoedMetadata.initial) {
            try await context.sendInitialMetadata([EchoedMetadata.initial: .string(value)])
        }
    }

    /// The definition only forbids an uncompressed request if a compressed one is expected. This checks the other way
    /// round too, because nothing else would check "not compressed".
    private static func check(_ expected: Bool?, _ context: ServerContext) throws {
        guard let expected, expected != context.requestWasCompressed else { return }
        throw RPCError(
            code: .invalidArgument,
            message: expected ? "the request is not compressed" : "the request is compressed"
        )
    }

    private static func end(with status: Status?) throws {
        guard let status, status.code != .ok else { return }
        throw RPCError(code: status.code, message: status.message)
    }
}

/// The methods of test.proto.
enum InteropMethods {
    private static let service = "grpc.testing.TestService"

    static let emptyCall = MethodDescriptor<Empty, Empty>(service: service, method: "EmptyCall")
    static let unaryCall = MethodDescriptor<SimpleRequest, SimpleResponse>(service: service, method: "UnaryCall")
    static let streamingInputCall = MethodDescriptor<StreamingInputCallRequest, StreamingInputCallResponse>(
        service: service,
        method: "StreamingInputCall"
    )
    static let streamingOutputCall = MethodDescriptor<StreamingOutputCallRequest, StreamingOutputCallResponse>(
        service: service,
        method: "StreamingOutputCall"
    )
    static let fullDuplexCall = MethodDescriptor<StreamingOutputCallRequest, StreamingOutputCallResponse>(
        service: service,
        method: "FullDuplexCall"
    )

    // No server has these.
    static let unimplementedCall = MethodDescriptor<Empty, Empty>(service: service, method: "UnimplementedCall")
    static let callOfUnimplementedService = MethodDescriptor<Empty, Empty>(
        service: "grpc.testing.UnimplementedService",
        method: "UnimplementedCall"
    )
}

/// The metadata that the server echoes.
enum EchoedMetadata {
    static let initial = "x-grpc-test-echo-initial"
    static let trailing = "x-grpc-test-echo-trailing-bin"
}
