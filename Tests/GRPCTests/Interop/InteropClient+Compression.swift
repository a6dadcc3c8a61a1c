import GRPC
import Testing

// Which messages are compressed on their way.

extension InteropClient {
    func clientCompressedUnary() async throws {
        var request = SimpleRequest.large
        request.expectCompressed = true
        // Does the server look at all?
        await expect(.invalidArgument) { _ = try await channel.unary(InteropMethods.unaryCall, request) }

        let compressed = CallOptions(compression: .gzip)
        #expect(try await channel.unary(InteropMethods.unaryCall, request, options: compressed) == .large)

        request.expectCompressed = false
        #expect(try await channel.unary(InteropMethods.unaryCall, request) == .large)
    }

    func serverCompressedUnary() async throws {
        for isCompressed in [true, false] {
            var request = SimpleRequest.large
            request.responseCompressed = isCompressed
            let (response, wasCompressed) = try await channel.inspectedUnary(InteropMethods.unaryCall, request)
            #expect(response == .large)
            #expect(wasCompressed == isCompressed)
        }
    }

    func clientCompressedStreaming() async throws {
        let options = CallOptions(compression: .gzip)
        let compressed = StreamingInputCallRequest(payload: Payload(size: 27_182), expectCompressed: true)

        let probe = try channel.clientStreaming(InteropMethods.streamingInputCall, options: options)
        try await probe.requests.write(compressed, compressed: false)
        // Comes too late where the server has ended the call already.
        try? await probe.requests.finish()
        await expect(.invalidArgument) { _ = try await probe.response() }

        let call = try channel.clientStreaming(InteropMethods.streamingInputCall, options: options)
        try await call.requests.write(compressed)
        let uncompressed = StreamingInputCallRequest(payload: Payload(size: 45_904), expectCompressed: false)
        try await call.requests.write(uncompressed, compressed: false)
        try await call.requests.finish()
        #expect(try await call.response().aggregatedPayloadSize == 73_086)
    }

    func serverCompressedStreaming() async throws {
        let parameters = [
            ResponseParameters(size: 31_415, compressed: true),
            ResponseParameters(size: 92_653, compressed: false),
        ]
        let responses = try await channel.inspectedServerStreaming(
            InteropMethods.streamingOutputCall,
            StreamingOutputCallRequest(responseParameters: parameters)
        )
        #expect(responses.map(\.response.payload) == [Payload(size: 31_415), Payload(size: 92_653)])
        #expect(responses.map(\.wasCompressed) == [true, false])
    }
}
