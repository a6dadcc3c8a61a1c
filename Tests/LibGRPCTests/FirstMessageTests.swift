import LibGRPC
import Synchronization
import Testing

/// Calls whose first message does not arrive, and calls that are refused.
@Suite(.timeLimit(.minutes(5)))
struct FirstMessageTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }
    private static let collect = ServerMethod.clientStreaming(Echo.collect) { requests, _ in
        var all = ""
        for try await request in requests { all += request.text }
        return ByteBuffer(all)
    }

    /// Records what interceptors see. Thread-safe.
    private final class Refusals: Sendable {
        private let reasons = Mutex<[RefusedCall.Reason]>([])
        private let begun = Atomic<Int>(0)

        var all: [RefusedCall.Reason] { reasons.withLock { $0 } }
        var begunCalls: Int { begun.load(ordering: .relaxed) }

        var interceptor: ServerInterceptor {
            ServerInterceptor(callRefused: { call in self.reasons.withLock { $0.append(call.reason) } }) { _ in
                self.begun.add(1, ordering: .relaxed)
                return nil
            }
        }
    }

    private static var impatient: ServerOptions {
        var options = ServerOptions()
        options.firstMessageTimeout = .milliseconds(200)
        return options
    }

    /// The client streams, while the server waits for one message.
    @Test func aCallWithoutItsMessageEnds() async throws {
        let refusals = Refusals()
        let unary = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Unary")
        try await Loopback.run([Self.echo], interceptors: [refusals.interceptor], options: Self.impatient) { loopback in
            let call = try loopback.channel.clientStreaming(unary)
            let error = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(error?.code == .deadlineExceeded)
            #expect(refusals.all == [.noMessage])
            #expect(refusals.begunCalls == 0)
            // The next call works.
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
        }
    }

    @Test func aStreamWithoutItsFirstMessageEnds() async throws {
        try await Loopback.run([Self.collect], options: Self.impatient) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            let error = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(error?.code == .deadlineExceeded)
        }
    }

    /// Only the first message counts.
    @Test func aStreamThatHasBegunMayTakeItsTime() async throws {
        try await Loopback.run([Self.collect], options: Self.impatient) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.collect)
            try await call.requests.write(ByteBuffer("a"))
            // Three times the limit.
            try await Task.sleep(for: .milliseconds(600))
            try await call.requests.write(ByteBuffer("b"))
            try await call.requests.finish()
            #expect(try await call.response().text == "ab")
        }
    }

    @Test func unknownMethodsAreCounted() async throws {
        let refusals = Refusals()
        try await Loopback.run([Self.echo], interceptors: [refusals.interceptor]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.missing, ByteBuffer("x"))
            }
            #expect(error?.code == .unimplemented)
            #expect(refusals.all == [.unknownMethod])
        }
    }

    /// A client that waits for an answer before it sends anything gets one.
    @Test func anUnknownStreamIsAnsweredSoon() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let call = try loopback.channel.clientStreaming(Echo.missing)
            let error = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(error?.code == .unimplemented)
        }
    }

    @Test func tooMuchMetadataIsRefused() async throws {
        let refusals = Refusals()
        var options = ServerOptions()
        options.maxMetadataSize = 1000
        try await Loopback.run([Self.echo], interceptors: [refusals.interceptor], options: options) { loopback in
            let big = CallOptions(metadata: ["key": .string(String(repeating: "a", count: 1000))])
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("x"), options: big)
            }
            #expect(error?.code == .resourceExhausted)
            #expect(refusals.all == [.tooMuchMetadata])
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
        }
    }

    /// The server waits for an open call, and refuses new ones with UNAVAILABLE.
    @Test func aServerThatIsShutDownRefusesCalls() async throws {
        let (arrived, goOn) = (Signal(), Signal())
        let waiting = ServerMethod.unary(Echo.unary) { request, _ in
            await arrived.set()
            await goOn.wait()
            return request
        }
        let refusals = Refusals()
        try await Loopback.run([waiting, Self.collect], interceptors: [refusals.interceptor]) { loopback in
            async let first = loopback.channel.unary(Echo.unary, ByteBuffer("first"))
            await arrived.wait()
            async let end: Void = loopback.server.shutDown(gracePeriod: .seconds(30))
            // On the same connection, until the shutdown has begun.
            while refusals.all.isEmpty {
                let call = try loopback.channel.clientStreaming(Echo.collect)
                try? await call.requests.finish()
                _ = try? await call.response()
            }
            #expect(Set(refusals.all) == [.shuttingDown])
            await goOn.set()
            #expect(try await first.text == "first")
            await end
        }
    }
}
