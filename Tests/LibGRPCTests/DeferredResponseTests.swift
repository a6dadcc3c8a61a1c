import LibGRPC
import Synchronization
import Testing

/// Calls whose handler returns before there is a response.
@Suite(.timeLimit(.minutes(5)))
struct DeferredResponseTests {
    /// Collects responses that are still to be given.
    private final class Waiting: Sendable {
        private let responses = Mutex<[(ByteBuffer, DeferredResponse<ByteBuffer>)]>([])

        var method: ServerMethod {
            .unary(
                Echo.unary,
                deferredHandler: { [self] request, _, response in
                    if request.text == "refused" { throw RPCError(code: .aborted, message: "no") }
                    responses.withLock { $0.append((request, response)) }
                }
            )
        }

        /// The responses of `count` calls, once all of them have arrived.
        func take(_ count: Int) async -> [(ByteBuffer, DeferredResponse<ByteBuffer>)] {
            while true {
                let taken = responses.withLock { responses -> [(ByteBuffer, DeferredResponse<ByteBuffer>)]? in
                    guard responses.count >= count else { return nil }
                    defer { responses = [] }
                    return responses
                }
                if let taken { return taken }
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
                for (request, response) in await waiting.take(200) {
                    response.succeed(request)
                    // Only the first result counts.
                    response.fail(RPCError(code: .aborted, message: "too late"))
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
            await waiting.take(1)[0].1.fail(RPCError(code: .dataLoss, message: "gone"))
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
            let (request, response) = await waiting.take(1)[0]
            call.cancel()
            await #expect(throws: RPCError.self) { try await call.value }
            response.succeed(request)
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }

    @Test func theServerIsShutDownBefore() async throws {
        let waiting = Waiting()
        let call = Mutex<Task<ByteBuffer, any Error>?>(nil)
        try await Loopback.run([waiting.method]) { loopback in
            call.withLock { $0 = Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) } }
            let (_, response) = await waiting.take(1)[0]
            Task {
                // The shutdown cancels at once. Whichever comes first, nothing hangs.
                await Task.yield()
                response.fail(RPCError(code: .unavailable, message: "closed"))
            }
        }
        let ended = call.withLock { $0 }
        await #expect(throws: RPCError.self) { try await ended?.value }
    }

    /// The queue drops the answer, but observers still learn the status.
    @Test func theQueueHasEndedBefore() async throws {
        let waiting = Waiting()
        let statuses = Mutex<[Status.Code]>([])
        let observing = ServerInterceptor { _ in
            CallObserver { status, _ in statuses.withLock { $0.append(status.code) } }
        }
        var response: DeferredResponse<ByteBuffer>? = try await Loopback.run(
            [waiting.method],
            interceptors: [observing]
        ) { loopback in
            Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) }
            return await waiting.take(1)[0].1
        }
        response?.succeed(ByteBuffer("too late"))
        response = nil
        #expect(statuses.withLock { $0 } == [.ok])
    }
}
