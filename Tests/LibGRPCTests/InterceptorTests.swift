import LibGRPC
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5)))
struct InterceptorTests {
    /// Records lines in order. Thread-safe.
    private final class Record: Sendable {
        private let lines = Mutex<[String]>([])

        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }

    private func recording(_ name: String, _ record: Record) -> ServerInterceptor {
        ServerInterceptor { context in
            record.add("\(name) \(context.path) \(context.metadata.first("key") ?? "none")")
            return CallObserver { status, _ in record.add("\(name) \(status.code)") }
        }
    }

    @Test func wrapEachOther() async throws {
        let record = Record()
        let interceptors = [recording("outer", record), recording("inner", record)]
        try await Loopback.run([Self.echo], interceptors: interceptors) { loopback in
            let options = CallOptions(metadata: ["key": "value"])
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"), options: options)
        }
        #expect(
            record.all == ["outer /test.Echo/Unary value", "inner /test.Echo/Unary value", "inner OK", "outer OK"]
        )
    }

    @Test func learnTheStatusOfAFailure() async throws {
        let record = Record()
        let method = ServerMethod.serverStreaming(Echo.stream) { _, _, _ in
            throw RPCError(code: .aborted, message: "no")
        }
        try await Loopback.run([method], interceptors: [recording("one", record)]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            await #expect(throws: RPCError.self) { for try await _ in stream {} }
        }
        #expect(record.all == ["one /test.Echo/Stream none", "one ABORTED"])
    }

    @Test func mayHoldTheContextOfACall() async throws {
        let record = Record()
        let holding = ServerInterceptor { context in CallObserver { _, _ in record.add(context.path) } }
        try await Loopback.run([Self.echo], interceptors: [holding]) { loopback in
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
        #expect(record.all == [Echo.unary.path])
    }

    @Test func canRefuse() async throws {
        let record = Record()
        let refusing = ServerInterceptor { _ in throw RPCError(code: .unauthenticated, message: "who are you?") }
        try await Loopback.run([Self.echo], interceptors: [recording("one", record), refusing]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            }
            #expect(error?.code == .unauthenticated)
            #expect(error?.message == "who are you?")
        }
        #expect(record.all == ["one /test.Echo/Unary none", "one UNAUTHENTICATED"])
    }

    @Test func ofAClientAddMetadataAndLearnTheStatus() async throws {
        let record = Record()
        let method = ServerMethod.unary(Echo.unary) { _, context in
            ByteBuffer(context.metadata.first("token") ?? "none")
        }
        try await Loopback.run([method]) { loopback in
            let adding = ClientInterceptor { path, options in
                options.metadata.append("secret", forKey: "token")
                return CallObserver { status, _ in record.add("\(path) \(status.code)") }
            }
            let target = "127.0.0.1:\(loopback.port)"
            let channel = Channel(target: target, interceptors: [adding], group: loopback.group)
            let response = try await channel.unary(Echo.unary, ByteBuffer("x"))
            #expect(response.text == "secret")
            #expect(record.all == ["/test.Echo/Unary OK"])
            await #expect(throws: RPCError.self) { try await channel.unary(Echo.missing, ByteBuffer("x")) }
            #expect(record.all.last == "/test.Echo/Missing UNIMPLEMENTED")
            let illegal = CallOptions(metadata: ["key": "two\nlines"])
            await #expect(throws: RPCError.self) {
                try await channel.unary(Echo.unary, ByteBuffer("x"), options: illegal)
            }
            #expect(record.all.last == "/test.Echo/Unary INVALID_ARGUMENT")
            #expect(record.all.count == 3)
        }
    }
}
