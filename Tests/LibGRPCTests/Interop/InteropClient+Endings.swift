import LibGRPC
import Testing

// Metadata, and calls that end with an error.

extension InteropClient {
    func customMetadata() async throws {
        let value = "test_initial_metadata_value"
        let options = CallOptions(metadata: [
            EchoedMetadata.initial: .string(value),
            EchoedMetadata.trailing: .binary([0xab, 0xab, 0xab]),
        ])

        let response = try await channel.unaryResponse(InteropMethods.unaryCall, .large, options: options)
        #expect(response.message == .large)
        #expect(response.initialMetadata[EchoedMetadata.initial] == [.string(value)])
        #expect(response.trailingMetadata[EchoedMetadata.trailing] == [.binary([0xab, 0xab, 0xab])])

        let call = try channel.bidirectional(InteropMethods.fullDuplexCall, options: options)
        try await call.requests.write(
            StreamingOutputCallRequest(
                responseParameters: [ResponseParameters(size: 314_159)],
                payload: Payload(size: 271_828)
            )
        )
        try await call.requests.finish()
        var received: [Payload?] = []
        for try await response in call.responses { received.append(response.payload) }
        #expect(received == [Payload(size: 314_159)])
        #expect(try await call.responses.initialMetadata[EchoedMetadata.initial] == [.string(value)])
        let trailing = await call.responses.trailingMetadata
        #expect(trailing[EchoedMetadata.trailing] == [.binary([0xab, 0xab, 0xab])])
    }

    func statusCodeAndMessage() async throws {
        let status = Status(code: .unknown, message: "test status message")
        try await expectStatus(ofUnary: status)

        let call = try channel.bidirectional(InteropMethods.fullDuplexCall)
        try await call.requests.write(StreamingOutputCallRequest(responseStatus: status))
        // Fails if the server has ended the call already.
        try? await call.requests.finish()
        await expect(status.code, message: status.message) { for try await _ in call.responses {} }
    }

    func specialStatusMessage() async throws {
        let message = "\t\ntest with whitespace\r\nand Unicode BMP \u{263A} and non-BMP \u{1F608}\t\n"
        try await expectStatus(ofUnary: Status(code: .unknown, message: message))
    }

    func unimplemented(_ method: MethodDescriptor<Empty, Empty>) async throws {
        await expect(.unimplemented) { _ = try await channel.unary(method, Empty()) }
    }

    func cancelAfterBegin() async throws {
        let call = try channel.clientStreaming(InteropMethods.streamingInputCall)
        call.cancel()
        await expect(.cancelled) { _ = try await call.response() }
    }

    func cancelAfterFirstResponse() async throws {
        let call = try channel.bidirectional(InteropMethods.fullDuplexCall)
        try await call.requests.write(
            StreamingOutputCallRequest(
                responseParameters: [ResponseParameters(size: 31_415)],
                payload: Payload(size: 27_182)
            )
        )
        var responses = call.responses.makeAsyncIterator()
        #expect(try await responses.next()?.payload == Payload(size: 31_415))
        call.cancel()
        await expect(.cancelled) { _ = try await responses.next() }
    }

    func timeoutOnSleepingServer() async throws {
        let options = CallOptions(timeout: .milliseconds(1))
        let call = try channel.bidirectional(InteropMethods.fullDuplexCall, options: options)
        // Fails if the deadline passes first.
        try? await call.requests.write(StreamingOutputCallRequest(payload: Payload(size: 27_182)))
        await expect(.deadlineExceeded) { for try await _ in call.responses {} }
    }

    private func expectStatus(ofUnary status: Status) async throws {
        await expect(status.code, message: status.message) {
            _ = try await channel.unary(InteropMethods.unaryCall, SimpleRequest(responseStatus: status))
        }
    }

    /// Checks that `body` fails with a status.
    func expect(
        _ code: Status.Code,
        message: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: () async throws -> Void
    ) async {
        let error = await #expect(throws: RPCError.self, sourceLocation: sourceLocation) { try await body() }
        #expect(error?.code == code, sourceLocation: sourceLocation)
        if let message {
            // By bytes, because `==` normalises both sides.
            #expect(error.map { Array($0.message.utf8) } == Array(message.utf8), sourceLocation: sourceLocation)
        }
    }
}
