import LibGRPC
import Testing

@Suite(.timeLimit(.minutes(5)))
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

    // MARK: As a sequence

    @Test func statesFromNothingToReadyToGone() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            var states = loopback.channel.connectivityStates().makeAsyncIterator()
            #expect(await states.next() == .idle)
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            // The core may be connecting for an instant only.
            var state = await states.next()
            if state == .connecting { state = await states.next() }
            #expect(state == .ready)
            await loopback.server.shutDown(gracePeriod: .zero)
            #expect(await states.next() != .ready)
        }
    }

    @Test func readingConnectsIfAsked() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            for await state in loopback.channel.connectivityStates(connecting: true) where state == .ready { break }
            #expect(loopback.channel.connectivityState() == .ready)
        }
    }

    @Test func readersThatAreCancelled() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            for _ in 0..<20 {
                let (waiting, isWaiting) = (Signal(), loopback.channel.connectivityStates())
                let reader = Task {
                    for await _ in isWaiting { await waiting.set() }
                }
                await waiting.wait()
                reader.cancel()
                await reader.value
            }
        }
    }

    /// All end while their readers wait for a change that does not come.
    @Test func statesEndWithTheChannelAndWithTheGroup() async throws {
        let group = try CompletionQueueGroup(count: 1)
        var channel: Channel? = Channel(target: "127.0.0.1:1", group: group)
        let other = Channel(target: "127.0.0.1:1", group: group)
        let ofChannel = try #require(channel?.connectivityStates())
        let ofGroup = other.connectivityStates()
        let (first, second) = (Signal(), Signal())
        let readers = [
            Task { for await _ in ofChannel { await first.set() } },
            Task { for await _ in ofGroup { await second.set() } },
        ]
        await first.wait()
        channel = nil
        await readers[0].value
        await second.wait()
        await group.shutDown()
        await readers[1].value
        var late = ofGroup.makeAsyncIterator()
        #expect(await late.next() == .idle, "the channel is still there")
        #expect(await late.next() == nil)
    }

    /// The core would keep a connection that is made when its channel is gone.
    @Test func channelsThatAreReleasedWhileTheyConnect() async throws {
        try await Loopback.run([]) { loopback in
            for number in 0..<300 {
                let channel = Channel(target: "127.0.0.1:\(loopback.port)", group: loopback.group)
                _ = channel.connectivityState(connecting: true)
                if number % 4 == 0 { try await Task.sleep(for: .microseconds(300)) }
            }
            while loopback.server.openConnections > 0 { try await Task.sleep(for: .milliseconds(10)) }
        }
    }
}
