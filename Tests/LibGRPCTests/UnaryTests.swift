import LibGRPC
import Testing

@Suite(.timeLimit(.minutes(5)))
struct UnaryTests {
    @Test func answers() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in ByteBuffer("re: " + request.text) }
        try await Loopback.run([method]) { loopback in
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer("hello"))
            #expect(response.text == "re: hello")
        }
    }

    @Test func manyAtOnce() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        try await Loopback.run([method]) { loopback in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<1000 {
                    group.addTask {
                        let response = try await loopback.channel.unary(Echo.unary, ByteBuffer("\(index)"))
                        #expect(response.text == "\(index)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func largeMessages() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        try await Loopback.run([method]) { loopback in
            // 3 MiB, doubled up: debug builds need a second for as many elements one by one.
            var bytes = [UInt8](0...255)
            while bytes.count < 1 << 21 { bytes += bytes }
            bytes += bytes.prefix(1 << 20)
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer(bytes))
            #expect(response == ByteBuffer(bytes))
        }
    }

    @Test func responseThatCannotBeDecoded() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        let asIfPrecious = MethodDescriptor<ByteBuffer, Precious>(service: "test.Echo", method: "Unary")
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(asIfPrecious, ByteBuffer("lead"))
            }
            // Decoding throws INVALID_ARGUMENT, which would blame the request.
            #expect(error?.code == .internal)
            #expect((error?.cause as? RPCError)?.code == .invalidArgument)
        }
    }

    private struct Precious: WireMessage {
        init(decoding message: ByteBuffer) throws {
            guard message.text == "gold" else { throw RPCError(code: .invalidArgument, message: "not gold") }
        }

        func encoded() -> ByteBuffer { ByteBuffer("gold") }
    }

    @Test func handlerThatWaits() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in
            await Task.yield()
            try await Task.sleep(for: .milliseconds(1))
            return request
        }
        try await Loopback.run([method]) { loopback in
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer("later"))
            #expect(response.text == "later")
        }
    }

    @Test func statusOfTheHandlersError() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context throws -> ByteBuffer in
            context.setTrailingMetadata(["set": "before"])
            throw RPCError(
                code: .notFound,
                message: "no ä here",
                metadata: ["why": "because", "raw-bin": .binary([0, 255])]
            )
        }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(error?.code == .notFound)
            #expect(error?.message == "no ä here")
            #expect(error?.metadata.first("set") == "before")
            #expect(error?.metadata.first("why") == "because")
            #expect(error?.metadata.firstBinary("raw-bin") == [0, 255])
        }
    }

    @Test func otherErrorsTellNoInternals() async throws {
        struct Secret: Error { let password = "hunter2" }
        let method = ServerMethod.unary(Echo.unary) { _, _ throws -> ByteBuffer in throw Secret() }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(error?.code == .unknown)
            #expect(error?.message.contains("hunter2") == false)
        }
    }

    @Test func unknownMethod() async throws {
        try await Loopback.run([]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.missing, ByteBuffer(""))
            }
            #expect(error?.code == .unimplemented)
            #expect(error?.message == "unknown method /test.Echo/Missing")
        }
    }

    /// The size of a status message on the wire: gRPC percent-encodes all but printable ASCII.
    private func wireSize(_ message: String) -> Int {
        message.utf8.reduce(0) { $0 + ((0x20...0x7E).contains($1) && $1 != UInt8(ascii: "%") ? 1 : 3) }
    }

    @Test(arguments: ["x", "%", "\n", "é", "\u{1F642}", "e\u{301}"])
    func longStatusMessageKeepsItsCode(text: String) async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            context.setTrailingMetadata(["data": .string(String(repeating: "x", count: 3000))])
            throw RPCError(code: .invalidArgument, message: String(repeating: text, count: 9000))
        }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(error?.code == .invalidArgument)
            let message = error?.message ?? ""
            #expect(message.hasSuffix("..."))
            let sent = String(repeating: text, count: 9000)
            #expect(sent.unicodeScalars.starts(with: message.unicodeScalars.dropLast(3)))
            #expect((4000...4096).contains(wireSize(message)))
        }
    }

    @Test func statusMessageOfJustTheLimit() async throws {
        let sent = String(repeating: "é", count: 682) + "1234"
        let method = ServerMethod.unary(Echo.unary) { _, _ in throw RPCError(code: .aborted, message: sent) }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(wireSize(sent) == 4096)
            #expect(error?.message == sent)
        }
    }

    @Test func unknownMethodWithALongName() async throws {
        let name = String(repeating: "é", count: 7000)
        let method = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: name)
        try await Loopback.run([]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(method, ByteBuffer(""))
            }
            #expect(error?.code == .unimplemented)
            #expect(error?.message.hasPrefix("unknown method /test.Echo/éé") == true)
            #expect(error?.message.contains("\u{FFFD}") == false)
            #expect(wireSize(error?.message ?? "") <= 256)
        }
    }

    @Test func trailingMetadataBeyondTheClientsLimit() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            context.setTrailingMetadata(["data": .string(String(repeating: "x", count: 20_000))])
            throw RPCError(code: .invalidArgument, message: "no")
        }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(error?.code == .resourceExhausted)
        }
    }

    @Test func metadataReachesTheHandler() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            let binary = context.metadata.firstBinary("data-bin") ?? []
            return ByteBuffer("\(context.metadata.first("name") ?? "none") \(binary) \(context.path)")
        }
        try await Loopback.run([method]) { loopback in
            let options = CallOptions(metadata: ["name": "value", "data-bin": .binary([1, 2])])
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer(""), options: options)
            #expect(response.text == "value [1, 2] /test.Echo/Unary")
        }
    }

    /// The core would abort the process at some, and take others for its own.
    @Test(arguments: ["UPPER", "with space", "", "grpc-timeout", "grpc-status", "grpclb_client_stats"])
    func metadataNotAllowed(key: String) async throws {
        try await Loopback.run([]) { loopback in
            let options = CallOptions(metadata: .init(dictionaryLiteral: (key, "value")))
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""), options: options)
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func tooLargeForTheServer() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        var options = ServerOptions()
        options.maxReceiveMessageSize = 1000
        try await Loopback.run([method], options: options) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer([UInt8](repeating: 0, count: 1001)))
            }
            #expect(error?.code == .resourceExhausted)
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer([UInt8](repeating: 0, count: 1000)))
            #expect(response.count == 1000)
        }
    }

    @Test func tooManyCalls() async throws {
        let entered = Signal()
        let release = Signal()
        let method = ServerMethod.unary(Echo.unary) { request, _ in
            await entered.set()
            await release.wait()
            return request
        }
        var options = ServerOptions()
        options.maxConcurrentCalls = 1
        try await Loopback.run([method], options: options) { loopback in
            async let first = loopback.channel.unary(Echo.unary, ByteBuffer("1"))
            await entered.wait()
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("2"))
            }
            #expect(error?.code == .resourceExhausted)
            await release.set()
            let answer = try await first
            #expect(answer.text == "1")
        }
    }

    @Test func noLimitOfCalls() async throws {
        var options = ServerOptions()
        options.maxConcurrentStreamsPerConnection = .max
        options.maxConcurrentCalls = .max
        options.maxConnections = .max
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        try await Loopback.run([method], options: options) { loopback in
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            #expect(response.text == "x")
        }
    }

    @Test func timeoutThatHasPassed() async throws {
        try await Loopback.run([]) { loopback in
            for timeout in [Duration.zero, .milliseconds(-1), .seconds(-1), .seconds(Int64.min / 2)] {
                let error = await #expect(throws: RPCError.self) {
                    try await loopback.channel.unary(
                        Echo.missing,
                        ByteBuffer(""),
                        options: CallOptions(timeout: timeout)
                    )
                }
                #expect(error?.code == .deadlineExceeded)
            }
        }
    }

    @Test(arguments: ["NOT ALLOWED", "grpc-timeout"])
    func metadataThatIsNotAllowedStillGivesAStatus(key: String) async throws {
        let method = ServerMethod.unary(Echo.unary) { request, context in
            context.setTrailingMetadata(["grpc-timeout": "1S"])
            try await context.sendInitialMetadata([request.text: "x"])
            return request
        }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(key))
            }
            #expect(error?.code == .invalidArgument)
        }
    }
}
