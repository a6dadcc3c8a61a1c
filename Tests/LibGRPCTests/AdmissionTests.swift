import LibGRPC
import Synchronization
import Testing

/// Interceptors that find out who calls.
@Suite(.timeLimit(.minutes(5)))
struct AdmissionTests {
    private final class Caller: Sendable {
        let name: String

        init(name: String) {
            self.name = name
        }
    }

    /// Admits calls with the metadata `name`, and records what it sees. Thread-safe.
    private final class Doorkeeper: Sendable {
        private let lines = Mutex<[String]>([])

        var all: [String] { lines.withLock(\.self) }

        private func add(_ line: String) { lines.withLock { $0.append(line) } }

        var interceptor: ServerInterceptor {
            ServerInterceptor(
                admit: { (context) throws(RPCError) in
                    guard let name = context.metadataValues("name").first else {
                        throw RPCError(code: .unauthenticated, message: "who are you?")
                    }
                    return Caller(name: String(decoding: name, as: UTF8.self))
                },
                callRefused: { self.add("refused \($0.reason) \($0.code)") },
                { context in
                    self.add("began \((context.caller as? Caller)?.name ?? "nobody")")
                    return nil
                }
            )
        }
    }

    private static let ann = CallOptions(metadata: ["other": "x", "name": "ann"])
    private static let whoami = ServerMethod.unary(Echo.unary) { _, context in
        ByteBuffer((context.caller as? Caller)?.name ?? "nobody")
    }

    @Test func anAdmittedCallHasACaller() async throws {
        let doorkeeper = Doorkeeper()
        try await Loopback.run([Self.whoami], interceptors: [doorkeeper.interceptor]) { loopback in
            let answer = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"), options: Self.ann)
            #expect(answer.text == "ann")
        }
        #expect(doorkeeper.all == ["began ann"])
    }

    @Test func anotherCallIsRefusedBeforeItsFirstMessage() async throws {
        let doorkeeper = Doorkeeper()
        try await Loopback.run([Self.whoami], interceptors: [doorkeeper.interceptor]) { loopback in
            // It sends no message at all.
            let unary = MethodDescriptor<ByteBuffer, ByteBuffer>(service: "test.Echo", method: "Unary")
            let call = try loopback.channel.clientStreaming(unary)
            let error = await #expect(throws: RPCError.self) { try await call.response() }
            #expect(error?.code == .unauthenticated)
            #expect(error?.message == "who are you?")
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
        #expect(doorkeeper.all == ["refused notAdmitted UNAUTHENTICATED"])
    }

    @Test func aCallOfAnUnknownMethodIsRefusedToo() async throws {
        let doorkeeper = Doorkeeper()
        try await Loopback.run([Self.whoami], interceptors: [doorkeeper.interceptor]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.missing, ByteBuffer("x"))
            }
            #expect(error?.code == .unauthenticated)
        }
    }

    /// The stream has sent a message, and its handler waits.
    @Test func aCallIsEndedWhileItsHandlerWorks() async throws {
        let contexts = Mutex<[ServerContext]>([])
        let ended = Signal()
        let endless = ServerMethod.serverStreaming(Echo.stream) { _, writer, context in
            contexts.withLock { $0.append(context) }
            try await writer.write(ByteBuffer("one"))
            do { try await Task.sleep(for: .seconds(3600)) } catch {
                await ended.set()
                throw error
            }
        }
        try await Loopback.run([endless]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            var messages = stream.makeAsyncIterator()
            #expect(try await messages.next()?.text == "one")
            let context = try #require(contexts.withLock { $0.popLast() })
            context.end(with: RPCError(code: .unauthenticated, message: "no longer"))
            let error = await #expect(throws: RPCError.self) { _ = try await messages.next() }
            #expect(error?.code == .unauthenticated)
            #expect(error?.message == "no longer")
            await ended.wait()
            // It has ended already.
            context.end(with: RPCError(code: .internal, message: "again"))
        }
    }

    /// OK is no error, and a refused call must not look like one that succeeded.
    @Test func refusedWithOK() async throws {
        let admission = ServerInterceptor(
            admit: { _ throws(RPCError) in throw RPCError(code: .ok, message: "fine") },
            { _ in nil }
        )
        try await Loopback.run([Self.whoami], interceptors: [admission]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                for try await _ in try loopback.channel.serverStreaming(Echo.unary, ByteBuffer("x")) {}
            }
            #expect(error?.code == .unknown)
        }
        let ending = ServerMethod.unary(Echo.unary) { request, context in
            context.end(with: RPCError(code: .ok, message: "fine"))
            await Signal().waitUntilCancelled()
            return request
        }
        try await Loopback.run([ending]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                for try await _ in try loopback.channel.serverStreaming(Echo.unary, ByteBuffer("x")) {}
            }
            #expect(error?.code == .unknown)
        }
    }
}
