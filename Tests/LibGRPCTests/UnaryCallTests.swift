import LibGRPC
import Synchronization
import Testing

/// Unary calls with a callback.
@Suite(.timeLimit(.minutes(5)))
struct UnaryCallTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }
    private static let endless = ServerMethod.unary(Echo.unary) { request, _ in
        await Signal().waitUntilCancelled()
        return request
    }

    /// Waits for the outcome of the call that `begin` begins.
    private static func outcome(
        of begin: (_ completion: @escaping @Sendable (Result<ByteBuffer, RPCError>) -> Void) -> Void
    ) async -> Result<ByteBuffer, RPCError> {
        await withCheckedContinuation { continuation in begin { continuation.resume(returning: $0) } }
    }

    @Test func callsBackWithTheResponse() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let outcome = await Self.outcome { loopback.channel.echo("hello", completion: $0) }
            #expect((try? outcome.get().text) == "hello")
        }
    }

    @Test func callsBackWithTheStatus() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, _ throws -> ByteBuffer in
            throw RPCError(code: .notFound, message: "none", metadata: ["why": "because"])
        }
        try await Loopback.run([method]) { loopback in
            let outcome = await Self.outcome { loopback.channel.echo("", completion: $0) }
            let error = #expect(throws: RPCError.self) { try outcome.get() }
            #expect(error?.code == .notFound)
            #expect(error?.metadata.first("why") == "because")
        }
    }

    @Test func responseThatCannotBeDecoded() async throws {
        struct Gold: WireMessage {
            init(decoding message: ByteBuffer) throws { throw RPCError(code: .invalidArgument, message: "not gold") }
            init() {}
            func encoded() -> ByteBuffer { ByteBuffer("gold") }
        }
        let asGold = MethodDescriptor<Gold, Gold>(service: "test.Echo", method: "Unary")
        try await Loopback.run([Self.echo]) { loopback in
            let code = await withCheckedContinuation { continuation in
                _ = try? loopback.channel.unary(asGold, Gold()) { result in
                    if case .failure(let error) = result { continuation.resume(returning: error.code) }
                }
            }
            #expect(code == .internal)
        }
    }

    @Test func beginsOnTheThreadOfAnotherCallsEnd() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let outcome = await Self.outcome { completion in
                loopback.channel.echo("1") { first in
                    let text = (try? first.get().text) ?? "nothing"
                    loopback.channel.echo(text + "2", completion: completion)
                }
            }
            #expect((try? outcome.get().text) == "12")
        }
    }

    @Test func metadataNotAllowedIsThrown() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let options = CallOptions(metadata: .init(dictionaryLiteral: ("UPPER", "value")))
            let error = #expect(throws: RPCError.self) {
                try loopback.channel.unary(Echo.unary, ByteBuffer(""), options: options) { _ in
                    Issue.record("what throws does not call back")
                }
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func interceptorsSeeTheEnd() async throws {
        let seen = Mutex<[Status.Code]>([])
        let interceptor = ClientInterceptor { _, _ in
            CallObserver { status, _ in seen.withLock { $0.append(status.code) } }
        }
        try await Loopback.run([Self.echo]) { loopback in
            let target = "127.0.0.1:\(loopback.port)"
            let channel = Channel(target: target, interceptors: [interceptor], group: loopback.group)
            _ = await Self.outcome { channel.echo("", completion: $0) }
            #expect(seen.withLock { $0 } == [.ok])
        }
    }

    @Test func cancelsBeforeItBeginsAndWhileItWaits() async throws {
        let entered = Signal()
        let method = ServerMethod.unary(Echo.unary) { request, _ in
            await entered.set()
            await Signal().waitUntilCancelled()
            return request
        }
        try await Loopback.run([method]) { loopback in
            let soon = await Self.outcome { completion in
                loopback.channel.echo("", completion: completion)?.cancel()
            }
            #expect(soon.code == .cancelled)

            let (codes, ended) = AsyncStream.makeStream(of: Status.Code.self)
            let call = loopback.channel.echo("") { ended.yield($0.code) }
            await entered.wait()
            call?.cancel()
            #expect(await codes.first { _ in true } == .cancelled)
            // Cancelling a call that has ended does nothing.
            call?.cancel()
        }
    }

    @Test func timesOut() async throws {
        try await Loopback.run([Self.endless]) { loopback in
            let options = CallOptions(timeout: .milliseconds(20))
            let outcome = await Self.outcome { loopback.channel.echo("", options: options, completion: $0) }
            #expect(outcome.code == .deadlineExceeded)
        }
    }

    private final class Counts: Sendable {
        let begun = Atomic(0)
        let ended = Atomic(0)
    }

    /// Even the calls that are too late for the queue's thread.
    @Test func eachCallsBackOnceWhileTheGroupIsShutDown() async throws {
        for round in 0..<100 {
            let group = try CompletionQueueGroup(count: 1)
            let channel = Channel(target: "127.0.0.1:1", group: group)
            let counts = Counts()
            await withTaskGroup { tasks in
                for _ in 0..<3 {
                    tasks.addTask {
                        for _ in 0..<100 {
                            do throws(RPCError) {
                                try channel.unary(Echo.unary, ByteBuffer("x")) { result in
                                    #expect(result.code == .unavailable)
                                    counts.ended.add(1, ordering: .relaxed)
                                }
                                counts.begun.add(1, ordering: .relaxed)
                            } catch {
                                #expect(error.code == .unavailable)
                            }
                        }
                    }
                }
                tasks.addTask {
                    while counts.begun.load(ordering: .relaxed) < 2 * round { await Task.yield() }
                    await group.shutDown()
                }
            }
            let (begun, ended) = (counts.begun.load(ordering: .relaxed), counts.ended.load(ordering: .relaxed))
            #expect(begun == ended)
        }
    }
}

extension Channel {
    @discardableResult
    fileprivate func echo(
        _ text: String,
        options: CallOptions = CallOptions(),
        completion: @escaping @Sendable (Result<ByteBuffer, RPCError>) -> Void
    ) -> UnaryCall? {
        try? unary(Echo.unary, ByteBuffer(text), options: options, completion: completion)
    }
}

extension Result<ByteBuffer, RPCError> {
    fileprivate var code: Status.Code {
        switch self {
        case .success: .ok
        case .failure(let error): error.code
        }
    }
}
