import GRPC
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ConnectivityTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }

    @Test func fromNothingToReadyToGone() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let channel = loopback.channel
            #expect(channel.connectivityState() == .idle)
            #expect(channel.connectivityState(connecting: true) != .ready, "it takes a while")
            while channel.connectivityState() != .ready { await Task.yield() }
            _ = try await channel.unary(Echo.unary, ByteBuffer(""))
            #expect(channel.connectivityState() == .ready)
            await loopback.server.shutDown(gracePeriod: .zero)
            while channel.connectivityState() == .ready { await Task.yield() }
        }
    }

    @Test func nobodyIsThere() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let channel = Channel(target: "127.0.0.1:1", group: group)
        await #expect(throws: RPCError.self) { try await channel.unary(Echo.unary, ByteBuffer("")) }
        #expect(channel.connectivityState() == .transientFailure)
        await group.shutDown()
    }
}
