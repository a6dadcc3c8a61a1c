import LibGRPC
import Testing

/// The client's side of the cases.
struct InteropClient {
    let target: String
    let group: CompletionQueueGroup
    let channel: Channel

    init(target: String, group: CompletionQueueGroup) {
        self.target = target
        self.group = group
        channel = Channel(target: target, group: group)
    }

    func run(_ interopCase: InteropCase) async throws {
        switch interopCase {
        case .emptyUnary: try await emptyUnary()
        case .largeUnary: try await largeUnary(on: channel)
        case .clientStreaming: try await clientStreaming()
        case .serverStreaming: try await serverStreaming()
        case .pingPong: try await pingPong()
        case .emptyStream: try await emptyStream()
        case .customMetadata: try await customMetadata()
        case .statusCodeAndMessage: try await statusCodeAndMessage()
        case .specialStatusMessage: try await specialStatusMessage()
        case .unimplementedMethod: try await unimplemented(InteropMethods.unimplementedCall)
        case .unimplementedService: try await unimplemented(InteropMethods.callOfUnimplementedService)
        case .cancelAfterBegin: try await cancelAfterBegin()
        case .cancelAfterFirstResponse: try await cancelAfterFirstResponse()
        case .timeoutOnSleepingServer: try await timeoutOnSleepingServer()
        case .clientCompressedUnary: try await clientCompressedUnary()
        case .serverCompressedUnary: try await serverCompressedUnary()
        case .clientCompressedStreaming: try await clientCompressedStreaming()
        case .serverCompressedStreaming: try await serverCompressedStreaming()
        case .rpcSoak: try await rpcSoak()
        case .channelSoak: try await channelSoak()
        }
    }
}

// MARK: - Calls of each kind

extension InteropClient {
    private func emptyUnary() async throws {
        #expect(Empty().encoded().count == 0)
        #expect(try await channel.unary(InteropMethods.emptyCall, Empty()) == Empty())
    }

    private func largeUnary(on channel: Channel) async throws {
        let response = try await channel.unary(InteropMethods.unaryCall, .large)
        #expect(response == .large)
    }

    private func clientStreaming() async throws {
        let call = try channel.clientStreaming(InteropMethods.streamingInputCall)
        for size in [27_182, 8, 1828, 45_904] {
            try await call.requests.write(StreamingInputCallRequest(payload: Payload(size: size)))
        }
        try await call.requests.finish()
        #expect(try await call.response().aggregatedPayloadSize == 74_922)
    }

    private func serverStreaming() async throws {
        let sizes = [31_415, 9, 2653, 58_979]
        let request = StreamingOutputCallRequest(responseParameters: sizes.map { ResponseParameters(size: $0) })
        let responses = try channel.serverStreaming(InteropMethods.streamingOutputCall, request)
        var received: [Payload?] = []
        for try await response in responses { received.append(response.payload) }
        #expect(received == sizes.map { Payload(size: $0) })
    }

    private func pingPong() async throws {
        let call = try channel.bidirectional(InteropMethods.fullDuplexCall)
        var responses = call.responses.makeAsyncIterator()
        for (responseSize, size) in [(31_415, 27_182), (9, 8), (2653, 1828), (58_979, 45_904)] {
            try await call.requests.write(
                StreamingOutputCallRequest(
                    responseParameters: [ResponseParameters(size: responseSize)],
                    payload: Payload(size: size)
                )
            )
            let response = try await responses.next()
            #expect(response?.payload == Payload(size: responseSize))
        }
        try await call.requests.finish()
        let end = try await responses.next()
        #expect(end == nil)
    }

    private func emptyStream() async throws {
        let call = try channel.bidirectional(InteropMethods.fullDuplexCall)
        try await call.requests.finish()
        for try await _ in call.responses { Issue.record("a response that nobody asked for") }
    }
}

// MARK: - Many calls

extension InteropClient {
    private func rpcSoak() async throws {
        for _ in 0..<30 { try await largeUnary(on: channel) }
    }

    private func channelSoak() async throws {
        for _ in 0..<10 { try await largeUnary(on: Channel(target: target, group: group)) }
    }
}

extension SimpleResponse {
    /// The answer to ``SimpleRequest/large``.
    static let large = SimpleResponse(payload: Payload(size: SimpleRequest.large.responseSize))
}

// Compressed messages.

extension InteropClient {
    func clientCompressedUnary() async throws {
        var request = SimpleRequest.large
        request.expectCompressed = true
        // Does the server check at all?
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
        // Fails if the server has ended the call already.
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
