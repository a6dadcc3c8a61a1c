import LibGRPC
import Synchronization
import Testing

/// Calls that are answered without a task, at once or later.
@Suite(.timeLimit(.minutes(5)))
struct ReplyTests {
    private typealias Complete = @Sendable (Result<ByteBuffer, any Error>) -> Void

    /// Collects calls that are still to be answered.
    private final class Waiting: Sendable {
        private struct Call {
            let request: ByteBuffer
            let complete: Complete
        }

        private let calls = Mutex<[Call]>([])

        var method: ServerMethod {
            .responder(Echo.unary) { [self] request, _, reply in
                if request.text == "refused" { return reply.fail(RPCError(code: .aborted, message: "no")) }
                let call = Call(request: request, complete: reply.callback())
                calls.withLock { $0.append(call) }
            }
        }

        /// The requests of `count` calls and their replies, once all of them have arrived.
        func take(_ count: Int) async -> [(ByteBuffer, Complete)] {
            while true {
                let taken = calls.withLock { calls -> [Call]? in
                    guard calls.count >= count else { return nil }
                    defer { calls = [] }
                    return calls
                }
                if let taken { return taken.map { ($0.request, $0.complete) } }
                await Task.yield()
            }
        }
    }

    @Test func manyAreAnsweredFromAnotherThread() async throws {
        let waiting = Waiting()
        try await Loopback.run([waiting.method]) { loopback in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        let request = ByteBuffer("\(number)")
                        return try await loopback.channel.unary(Echo.unary, request) == request
                    }
                }
                for (request, complete) in await waiting.take(200) {
                    complete(.success(request))
                    // Only the first result counts.
                    complete(.failure(RPCError(code: .aborted, message: "too late")))
                }
                for try await isRight in group { #expect(isRight) }
            }
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }

    @Test func failures() async throws {
        let waiting = Waiting()
        let statuses = Mutex<[Status.Code]>([])
        let observing = ServerInterceptor { _ in
            CallObserver { status, _ in statuses.withLock { $0.append(status.code) } }
        }
        try await Loopback.run([waiting.method], interceptors: [observing]) { loopback in
            func error(_ request: String) async -> RPCError? {
                await #expect(throws: RPCError.self) {
                    try await loopback.channel.unary(Echo.unary, ByteBuffer(request))
                }
            }
            #expect(await error("refused")?.code == .aborted)

            async let failed = error("failed")
            await waiting.take(1)[0].1(.failure(RPCError(code: .dataLoss, message: "gone")))
            #expect(await failed?.code == .dataLoss)

            async let forgotten = error("forgotten")
            _ = await waiting.take(1)
            #expect(await forgotten?.message == "the call was not answered")
        }
        #expect(statuses.withLock { $0 } == [.aborted, .dataLoss, .internal])
    }

    @Test func aClientThatDoesNotWait() async throws {
        let waiting = Waiting()
        try await Loopback.run([waiting.method]) { loopback in
            let call = Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) }
            let (request, complete) = await waiting.take(1)[0]
            call.cancel()
            await #expect(throws: RPCError.self) { try await call.value }
            complete(.success(request))
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }

    @Test func theServerIsShutDownBefore() async throws {
        let waiting = Waiting()
        let call = Mutex<Task<ByteBuffer, any Error>?>(nil)
        try await Loopback.run([waiting.method]) { loopback in
            call.withLock { $0 = Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) } }
            let (_, complete) = await waiting.take(1)[0]
            Task {
                // The shutdown cancels at once. Whichever comes first, nothing hangs.
                await Task.yield()
                complete(.failure(RPCError(code: .unavailable, message: "closed")))
            }
        }
        let ended = call.withLock { $0 }
        await #expect(throws: RPCError.self) { try await ended?.value }
    }

    /// The answer is not sent, but observers still learn the status.
    @Test func theQueueHasEndedBefore() async throws {
        let waiting = Waiting()
        let statuses = Mutex<[Status.Code]>([])
        let observing = ServerInterceptor { _ in
            CallObserver { status, _ in statuses.withLock { $0.append(status.code) } }
        }
        let complete: Complete = try await Loopback.run(
            [waiting.method],
            interceptors: [observing]
        ) { loopback in
            Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) }
            return await waiting.take(1)[0].1
        }
        complete(.success(ByteBuffer("too late")))
        while statuses.withLock(\.isEmpty) { await Task.yield() }
        #expect(statuses.withLock { $0 } == [.ok])
    }

    @Test func answeredAtOnce() async throws {
        let method = ServerMethod.responder(Echo.unary) { request, context, reply in
            if request.text == "error" { return reply.fail(RPCError(code: .notFound, message: context.path)) }
            reply.succeed(ByteBuffer("re: " + request.text))
        }
        try await Loopback.run([method]) { loopback in
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            #expect(response.text == "re: x")
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("error"))
            }
            #expect(error?.code == .notFound)
            #expect(error?.message == Echo.unary.path)
        }
    }

    @Test func aReplyThatIsDropped() async throws {
        let method = ServerMethod.responder(Echo.unary) { _, _, _ in }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            }
            #expect(error?.code == .internal)
            #expect(error?.message == "the call was not answered")
        }
    }

    @Test func aRequestThatCannotBeDecoded() async throws {
        struct Broken: Error {}
        let codec = MessageCodec<Int>(encode: { ByteBuffer("\($0)") }, decode: { _ in throw Broken() })
        let number = MethodDescriptor(
            service: "test.Echo",
            method: "Unary",
            requests: codec,
            responses: MessageCodec<ByteBuffer>.bytes
        )
        let method = ServerMethod.responder(number) { _, _, reply in reply.succeed(ByteBuffer("")) }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) { try await loopback.channel.unary(number, 1) }
            #expect(error?.code == .invalidArgument)
        }
    }
}
