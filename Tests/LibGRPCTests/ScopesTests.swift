import LibGRPC
import Testing

/// Groups and servers that end with a closure.
@Suite(.timeLimit(.minutes(5)))
struct ScopesTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }

    private struct Failure: Error {}

    /// A group that has been shut down begins no call.
    private func hasEnded(_ group: CompletionQueueGroup?) async -> Bool {
        guard let group else { return false }
        let channel = Channel(target: "127.0.0.1:1", group: group)
        let error = await #expect(throws: RPCError.self) { try await channel.unary(Echo.unary, ByteBuffer("")) }
        return error?.message == "the completion queue has been shut down"
    }

    @Test func bothEndAfterTheBody() async throws {
        var seen: (CompletionQueueGroup, Server)?
        let answer = try await withCompletionQueueGroup(count: 1) { group in
            try await withServer([Self.echo], listeningOn: ["127.0.0.1:0"], group: group) { server in
                seen = (group, server)
                let channel = Channel(target: server.addresses[0], group: group)
                return try await channel.unary(Echo.unary, ByteBuffer("x")).text
            }
        }
        #expect(answer == "x")
        #expect(await hasEnded(seen?.0))
        let error = await #expect(throws: ServerStartError.self) { try await seen?.1.start(listeningOn: []) }
        #expect(error?.description == "the server has been started or shut down before")
    }

    @Test func bothEndIfTheBodyThrows() async throws {
        var seen: CompletionQueueGroup?
        await #expect(throws: Failure.self) {
            try await withCompletionQueueGroup(count: 1) { group in
                seen = group
                try await withServer([Self.echo], listeningOn: ["127.0.0.1:0"], group: group) { _ in throw Failure() }
            }
        }
        #expect(await hasEnded(seen))
    }

    @Test func theGroupEndsIfTheServerDoesNotStart() async throws {
        var seen: CompletionQueueGroup?
        await #expect(throws: ServerStartError.self) {
            try await withCompletionQueueGroup(count: 1) { group in
                seen = group
                try await withServer([Self.echo], listeningOn: ["256.1.1.1:0"], group: group) { _ in }
            }
        }
        #expect(await hasEnded(seen))
    }

    /// A cancelled task cannot sleep, but open calls still get their time.
    @Test func cancellationLetsOpenCallsEnd() async throws {
        let (arrived, finish, started) = (Signal(), Signal(), AsyncStream<String>.makeStream())
        let slow = ServerMethod.unary(Echo.unary) { request, _ in
            await arrived.set()
            await finish.wait()
            return request
        }
        let scope = Task {
            try await withCompletionQueueGroup(count: 1) { group in
                try await withServer(
                    [slow],
                    listeningOn: ["127.0.0.1:0"],
                    gracePeriod: .seconds(240),
                    group: group
                ) { server in
                    started.continuation.yield(server.addresses[0])
                    try await Task.sleep(for: .seconds(240))
                }
            }
        }
        try await withCompletionQueueGroup(count: 1) { group in
            var addresses = started.stream.makeAsyncIterator()
            let channel = Channel(target: try #require(await addresses.next()), group: group)
            let call = Task { try await channel.unary(Echo.unary, ByteBuffer("x")).text }
            await arrived.wait()
            scope.cancel()
            await finish.set()
            #expect(try await call.value == "x")
            await #expect(throws: CancellationError.self) { try await scope.value }
        }
    }
}
