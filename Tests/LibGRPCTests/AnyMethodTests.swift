import LibGRPC
import Testing

/// A handler for methods that the server has no other handler for, with calls in parts.
@Suite(.timeLimit(.minutes(5)))
struct AnyMethodTests {
    private static let echo: [ServerMethod] = [
        .unary(Echo.unary) { request, context in
            context.setTrailingMetadata(["trailing": "t"])
            try await context.sendInitialMetadata(["seen": .string(context.metadata.first("key") ?? "none")])
            return ByteBuffer("re: " + request.text)
        },
        .bidirectional(Echo.chat) { requests, writer, _ in
            for try await request in requests { try await writer.write(request) }
            throw RPCError(code: .dataLoss, message: "the end", metadata: ["reason": "r"])
        },
    ]

    /// Passes each call to another server and back, whatever its method and its messages are.
    private static func proxy(to channel: Channel) -> ServerMethod {
        .anyMethod { requests, writer, context in
            let call = try channel.bidirectional(
                MethodDescriptor(path: context.path),
                options: CallOptions(metadata: context.metadata, timeout: context.timeRemaining)
            )
            async let sent: Void = {
                for try await request in requests { try await call.requests.write(request) }
                try await call.requests.finish()
            }()
            try await context.sendInitialMetadata(try await call.responses.initialMetadata)
            for try await response in call.responses { try await writer.write(response) }
            context.setTrailingMetadata(await call.responses.trailingMetadata)
            try await sent
        }
    }

    @Test func aProxy() async throws {
        try await Loopback.run(Self.echo) { behind in
            try await Loopback.run([Self.proxy(to: behind.channel)]) { loopback in
                let options = CallOptions(metadata: ["key": "value"], timeout: .seconds(60))
                let response = try await loopback.channel.unaryResponse(Echo.unary, ByteBuffer("x"), options: options)
                #expect(response.message.text == "re: x")
                #expect(response.initialMetadata.first("seen") == "value")
                #expect(response.trailingMetadata.first("trailing") == "t")

                let chat = try loopback.channel.bidirectional(Echo.chat)
                var responses = chat.responses.makeAsyncIterator()
                for text in ["one", "two"] {
                    try await chat.requests.write(ByteBuffer(text))
                    let received = try await responses.next()
                    #expect(received?.text == text)
                }
                try await chat.requests.finish()
                let error = await #expect(throws: RPCError.self) { _ = try await responses.next() }
                #expect(error?.code == .dataLoss)
                #expect(error?.message == "the end")
                #expect(error?.metadata.first("reason") == "r")

                let missing = await #expect(throws: RPCError.self) {
                    try await loopback.channel.unary(Echo.missing, ByteBuffer(""))
                }
                #expect(missing?.message == "unknown method \(Echo.missing.path)")
            }
        }
    }

    @Test func methodsWithAHandlerOfTheirOwnComeFirst() async throws {
        let others = ServerMethod.anyMethod { _, writer, context in try await writer.write(ByteBuffer(context.path)) }
        try await Loopback.run(Self.echo + [others]) { loopback in
            let known = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            #expect(known.text == "re: x")
            let unknown = try await loopback.channel.unary(Echo.missing, ByteBuffer("x"))
            #expect(unknown.text == Echo.missing.path)
        }
    }

    @Test func onlyOne() async throws {
        let others = ServerMethod.anyMethod { _, _, _ in }
        let group = try CompletionQueueGroup(count: 1)
        #expect(throws: RPCError.self) { try Server(methods: [others, others], group: group) }
        await group.shutDown()
    }

    /// Peers may leave at any moment of a call in parts.
    @Test func clientsThatLeave() async throws {
        let waiting = Signal()
        let left = Signal()
        let others = ServerMethod.anyMethod { requests, _, _ in
            await waiting.set()
            do { for try await _ in requests {} } catch { await left.set() }
        }
        try await Loopback.run([others]) { loopback in
            let chat = try loopback.channel.bidirectional(Echo.chat)
            await waiting.wait()
            chat.cancel()
            await left.wait()
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }
}

/// Messages whose types know nothing of the binding.
@Suite(.timeLimit(.minutes(5)))
struct MessageCodecTests {
    private static let number = MessageCodec<Int>(encode: { ByteBuffer("\($0)") }) { bytes in
        guard let number = Int(bytes.text) else { throw RPCError(code: .outOfRange, message: "no number") }
        return number
    }

    private static let double = MethodDescriptor(
        service: "test.Echo",
        method: "Double",
        requests: number,
        responses: number
    )

    @Test func allKindsOfMethods() async throws {
        let method = ServerMethod.bidirectional(Self.double) { requests, writer, _ in
            for try await request in requests { try await writer.write(2 * request) }
        }
        try await Loopback.run([method]) { loopback in
            let unary = try await loopback.channel.unary(Self.double, 21)
            #expect(unary == 42)
            var streamed: [Int] = []
            for try await response in try loopback.channel.serverStreaming(Self.double, 4) { streamed.append(response) }
            #expect(streamed == [8])
            let client = try loopback.channel.clientStreaming(Self.double)
            try await client.requests.write(5)
            try await client.requests.finish()
            let collected = try await client.response()
            #expect(collected == 10)
        }
    }

    @Test func theDecodersErrorEndsTheCall() async throws {
        let method = ServerMethod.unary(Self.double) { request, _ in request }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(MethodDescriptor(path: Self.double.path), ByteBuffer("x"))
            }
            #expect(error?.code == .outOfRange)
        }
    }

    /// A proxy that checks paths must not pass on another one.
    @Test(arguments: ["/a/b", "//a/b", "/a//b", "/a/b/c", "/a", "", "a/b"]) func thePathIsKept(path: String) {
        #expect(MethodDescriptor(path: path).path == path)
    }
}
