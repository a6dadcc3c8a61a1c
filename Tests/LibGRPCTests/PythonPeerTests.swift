import LibGRPC
import Synchronization
import Testing

/// The binding against gRPC's Python implementation, both ways.
@Suite(.enabled(if: Peer.isAvailable, "MESSENGER_TEST_PYTHON names no Python with grpcio"), .timeLimit(.minutes(5)))
struct PythonPeerTests {
    // MARK: Our server, their client

    @Test func pythonClientCallsOurServer() async throws {
        let cancelled = Atomic(0)
        let unary = ServerMethod.unary(Echo.unary) { request, context in
            switch request {
            case ByteBuffer("metadata"):
                try await context.sendInitialMetadata(["initial": "early"])
                context.setTrailingMetadata(["trailing-bin": .binary([1, 0])])
                let binary = context.metadata.firstBinary("raw-bin") ?? []
                return ByteBuffer("\(context.metadata.first("name") ?? "none") \(binary)")
            case ByteBuffer("fail"):
                var error = RPCError(
                    code: .failedPrecondition,
                    message: "\t\n, Ünïcödé \u{2603} & \u{1F642} %",
                    metadata: ["why": "because"]
                )
                error.details = [8, 9, 0]
                throw error
            case ByteBuffer("deadline"):
                return ByteBuffer("\(context.timeRemaining?.components.seconds ?? -1)")
            case ByteBuffer("cancelled"):
                return ByteBuffer("\(cancelled.load(ordering: .relaxed))")
            default:
                return request
            }
        }
        let stream = ServerMethod.serverStreaming(Echo.stream) { request, writer, context in
            if request.text == "endless" {
                try await context.sendInitialMetadata(["position": "here"])
                await Signal().waitUntilCancelled()
                cancelled.add(1, ordering: .relaxed)
                return
            }
            for index in 0..<(Int(request.text) ?? 0) {
                try await writer.write(ByteBuffer("\(index)"))
            }
        }
        let collect = ServerMethod.clientStreaming(Echo.collect) { requests, _ in
            ByteBuffer("\(try await requests.reduce(0) { count, _ in count + 1 })")
        }
        let chat = ServerMethod.bidirectional(Echo.chat) { requests, writer, _ in
            for try await request in requests { try await writer.write(ByteBuffer("re: " + request.text)) }
        }
        var options = ServerOptions()
        options.acceptedCompression = [.deflate, .gzip]
        try await Loopback.run([unary, stream, collect, chat], options: options) { loopback in
            let (exitCode, output) = try await Peer("peer_client.py", "\(loopback.port)").end()
            #expect(exitCode == 0, "the last check that passed: \(output.split(separator: "\n").last ?? "none")")
        }
    }

    // MARK: Our client, their server

    private func withPythonServer(
        options: ChannelOptions = ChannelOptions(),
        _ body: (Channel) async throws -> Void
    ) async throws {
        try await Peer.runServer("peer_server.py") { target, group in
            try await body(Channel(target: target, options: options, group: group))
        }
    }

    @Test func unary() async throws {
        try await withPythonServer { channel in
            #expect(try await channel.unary(Echo.unary, ByteBuffer("hello")).text == "re: hello")
            let large = ByteBuffer([UInt8](repeating: 65, count: 3 << 20))
            #expect(try await channel.unary(Echo.unary, large).count == 4 + 3 << 20)
            let outcome = try await withCheckedThrowingContinuation { continuation in
                do {
                    try channel.unary(Echo.unary, ByteBuffer("hello")) { continuation.resume(returning: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
            #expect(try outcome.get().text == "re: hello")
            let options = CallOptions(timeout: .seconds(60))
            let remaining = try await channel.unary(Echo.unary, ByteBuffer("deadline"), options: options)
            #expect((50...60).contains(Int(remaining.text) ?? 0))
        }
    }

    @Test func authority() async throws {
        var options = ChannelOptions()
        options.authority = "channel.test:443"
        try await withPythonServer(options: options) { channel in
            let ofChannel = try await channel.unary(Echo.unary, ByteBuffer("authority"))
            #expect(ofChannel.text == "channel.test:443")
            let options = CallOptions(authority: "call.test")
            let ofCall = try await channel.unary(Echo.unary, ByteBuffer("authority"), options: options)
            #expect(ofCall.text == "call.test")
        }
    }

    @Test func statusAndMetadata() async throws {
        try await withPythonServer { channel in
            let options = CallOptions(metadata: ["name": "value", "name-bin": .binary([0, 1, 255])])
            let error = await #expect(throws: RPCError.self) {
                try await channel.unary(Echo.unary, ByteBuffer("fail:näh \u{2603}"), options: options)
            }
            #expect(error?.code == .notFound)
            #expect(error?.message == "näh \u{2603}")
            #expect(error?.metadata.first("echo") == "value")
            #expect(error?.metadata.firstBinary("echo-bin") == [0, 1, 255])
            #expect(error?.details == nil)
            let detailed = await #expect(throws: RPCError.self) {
                try await channel.unary(Echo.unary, ByteBuffer([UInt8]("details:".utf8) + [8, 10, 0]))
            }
            #expect(detailed?.details == [8, 10, 0])
        }
    }

    @Test(arguments: [(0, 1), (1, 1), (5000, 10), (20, 1 << 20)])
    func stream(count: Int, size: Int) async throws {
        try await withPythonServer { channel in
            let stream = try channel.serverStreaming(Echo.stream, ByteBuffer("\(count) \(size)"))
            #expect(try await stream.initialMetadata.first("position") == "here")
            var received = 0
            for try await message in stream {
                #expect(message.count == max(size, "\(received)".count))
                #expect(message.text.hasPrefix("\(received)"))
                received += 1
            }
            #expect(received == count)
            #expect(await stream.trailingMetadata.first("total") == "\(count)")
        }
    }

    @Test func cancellationReachesTheServer() async throws {
        let wasCancelled = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "WasCancelled")
        try await withPythonServer { channel in
            let stream = try channel.serverStreaming(Echo.stream, ByteBuffer("endless"))
            let reader = Task { for try await _ in stream {} }
            _ = try await stream.initialMetadata
            reader.cancel()
            #expect(try await channel.unary(wasCancelled, ByteBuffer("")).text == "yes")
        }
    }

    @Test func clientStreaming() async throws {
        try await withPythonServer { channel in
            let call = try channel.clientStreaming(Echo.collect)
            for index in 0..<100 { try await call.requests.write(ByteBuffer("\(index)")) }
            try await call.requests.finish()
            #expect(try await call.response().text == (0..<100).map { "\($0)" }.joined(separator: ","))
        }
    }

    @Test(arguments: [CompressionAlgorithm.none, .deflate, .gzip])
    func bidirectional(compression: CompressionAlgorithm) async throws {
        try await withPythonServer { channel in
            let call = try channel.bidirectional(Echo.chat, options: CallOptions(compression: compression))
            var responses = call.responses.makeAsyncIterator()
            for index in 0..<100 {
                try await call.requests.write(ByteBuffer("\(index)"))
                let response = try await responses.next()
                #expect(response?.text == "re: \(index)")
            }
            try await call.requests.finish()
            let end = try await responses.next()
            #expect(end == nil)
        }
    }

    @Test func unimplemented() async throws {
        try await withPythonServer { channel in
            let error = await #expect(throws: RPCError.self) {
                try await channel.unary(Echo.missing, ByteBuffer(""))
            }
            #expect(error?.code == .unimplemented)
        }
    }
}
