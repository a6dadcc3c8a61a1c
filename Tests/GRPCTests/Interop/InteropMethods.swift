import GRPC

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

    // Those that no server has.
    static let unimplementedCall = MethodDescriptor<Empty, Empty>(service: service, method: "UnimplementedCall")
    static let callOfUnimplementedService = MethodDescriptor<Empty, Empty>(
        service: "grpc.testing.UnimplementedService",
        method: "UnimplementedCall"
    )
}

/// The metadata that a server sends back.
enum EchoedMetadata {
    static let initial = "x-grpc-test-echo-initial"
    static let trailing = "x-grpc-test-echo-trailing-bin"
}
