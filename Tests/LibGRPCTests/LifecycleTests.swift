import Foundation
import LibGRPC
import Testing

/// Shutdowns, releases and races. Each test is for one trap.
@Suite(.timeLimit(.minutes(5)), .serialized)
struct LifecycleTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }
    private static let endless = ServerMethod.serverStreaming(Echo.stream) { _, writer, context in
        try await context.sendInitialMetadata([:])
        await Signal().waitUntilCancelled()
    }

    @Test func callAfterShutdown() async throws {
        let group = try CompletionQueueGroup(count: 2)
        let channel = Channel(target: "127.0.0.1:1", group: group)
        await group.shutDown()
        let error = await #expect(throws: RPCError.self) {
            try await channel.unary(Echo.unary, ByteBuffer(""))
        }
        #expect(error?.code == .unavailable)
        #expect(throws: RPCError.self) { try channel.serverStreaming(Echo.stream, ByteBuffer("")) }
        #expect(throws: RPCError.self) { try channel.bidirectional(Echo.chat) }
    }

    /// As people write "no limit".
    @Test func theLongestDurations() async throws {
        var options = ServerOptions()
        options.firstMessageTimeout = .seconds(Int64.max)
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.endless], options: options, group: group)
        let port = try await server.start(listeningOn: ["127.0.0.1:0"])[0]
        let channel = Channel(target: "127.0.0.1:\(port)", group: group)
        let call = CallOptions(timeout: .seconds(Int64.max))
        let stream = try channel.serverStreaming(Echo.stream, ByteBuffer(""), options: call)
        _ = try await stream.initialMetadata
        let shutdown = Task { await server.shutDown(gracePeriod: .seconds(Int64.max)) }
        try await Task.sleep(for: .milliseconds(50))
        #expect(server.openCalls == 1)
        stream.cancel()
        await shutdown.value
        await group.shutDown(gracePeriod: .seconds(Int64.max))
    }

    @Test func groupShutDownWithAStreamThatHasEnded() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let channel = Channel(target: "127.0.0.1:1", group: group)
        let stream = try channel.serverStreaming(Echo.stream, ByteBuffer(""))
        await #expect(throws: RPCError.self) { for try await _ in stream {} }
        let begin = ContinuousClock.now
        await group.shutDown(gracePeriod: .seconds(30))
        #expect(.now - begin < .seconds(20))
        extendLifetime(stream)
    }

    @Test func taskOnAQueueThatHasEnded() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let queue = group.queues[0]
        await group.shutDown()
        let answer = await Task(executorPreference: queue) { 42 }.value
        #expect(answer == 42)
    }

    @Test func groupShutDownTwiceAtOnce() async throws {
        let group = try CompletionQueueGroup(count: 2)
        async let first: Void = group.shutDown()
        async let second: Void = group.shutDown()
        _ = await (first, second)
        await group.shutDown()
    }

    @Test(arguments: [Duration.zero, .seconds(30)])
    func groupShutDownWithServersChannelsAndCalls(gracePeriod: Duration) async throws {
        let group = try CompletionQueueGroup(count: 2)
        let server = try Server(methods: [Self.echo, Self.endless], group: group)
        let port = try await server.start(listeningOn: ["127.0.0.1:0"])[0]
        let channel = Channel(target: "127.0.0.1:\(port)", group: group)
        _ = try await channel.unary(Echo.unary, ByteBuffer("x"))
        if gracePeriod == .zero {
            let stream = try channel.serverStreaming(Echo.stream, ByteBuffer(""))
            _ = try await stream.initialMetadata
            await group.shutDown(gracePeriod: gracePeriod)
            await #expect(throws: RPCError.self) { for try await _ in stream {} }
        } else {
            // Without calls nothing waits for the grace period.
            let start = ContinuousClock.now
            await group.shutDown(gracePeriod: gracePeriod)
            #expect(ContinuousClock.now - start < gracePeriod)
        }
        let error = await #expect(throws: RPCError.self) { try await channel.unary(Echo.unary, ByteBuffer("x")) }
        #expect(error?.code == .unavailable)
    }

    /// Its channel never connects, and it has no deadline.
    @Test func groupShutDownWithACallThatWaitsForAConnection() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let channel = Channel(target: "127.0.0.1:1", group: group)
        let ended = Signal()
        try channel.unary(Echo.unary, ByteBuffer(""), options: CallOptions(waitForReady: true)) { result in
            if case .failure(let error) = result, error.code == .unavailable { Task { await ended.set() } }
        }
        await group.shutDown()
        await ended.wait()
    }

    @Test func serverStartedOnAGroupThatHasEnded() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.echo], group: group)
        await group.shutDown()
        let error = await #expect(throws: ServerStartError.self) {
            try await server.start(listeningOn: ["127.0.0.1:0"])
        }
        #expect(error?.description == "the server's completion queues have been shut down")
        await server.shutDown(gracePeriod: .zero)
    }

    @Test func serverThatIsNeverStarted() async throws {
        let group = try CompletionQueueGroup(count: 1)
        _ = try Server(methods: [Self.echo], group: group)
        await group.shutDown()
    }

    @Test func serverShutDownTwiceAtOnce() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            async let first: Void = loopback.server.shutDown(gracePeriod: .seconds(1))
            async let second: Void = loopback.server.shutDown(gracePeriod: .zero)
            _ = await (first, second)
        }
    }

    @Test func groupShutDownOnceItsServerIsSeenToHaveEnded() async throws {
        for _ in 0..<2000 {
            let group = try CompletionQueueGroup(count: 1)
            let server = try Server(methods: [], group: group)
            _ = try await server.start(listeningOn: [])
            await withTaskGroup { tasks in
                for _ in 0..<4 {
                    tasks.addTask {
                        await server.shutDown(gracePeriod: .zero)
                        await group.shutDown()
                    }
                }
            }
        }
    }

    @Test func twoMethodsOfOnePath() async throws {
        let group = try CompletionQueueGroup(count: 1)
        #expect(throws: RPCError.self) { try Server(methods: [Self.echo, Self.echo], group: group) }
        await group.shutDown()
    }

    @Test func addressThatIsTaken() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            let server = try Server(methods: [Self.echo], group: loopback.group)
            let error = await #expect(throws: ServerStartError.self) {
                // The second one, so that the first is already bound when it fails.
                try await server.start(listeningOn: ["127.0.0.1:0", "127.0.0.1:\(loopback.port)"])
            }
            #expect(error?.description == "listening on 127.0.0.1:\(loopback.port): Address already in use")
        }
    }

    @Test(arguments: ["127.0.0.1", "127.0.0.1:99999", ":x", "256.1.1.1:0", ""])
    func addressThatMakesNoSense(address: String) async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.echo], group: group)
        await #expect(throws: ServerStartError.self) { try await server.start(listeningOn: [ListenAddress(address)]) }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
    }

    @Test func channelReleasedUnderACall() async throws {
        try await Loopback.run([Self.endless]) { loopback in
            var channel: Channel? = Channel(target: "127.0.0.1:\(loopback.port)", group: loopback.group)
            let stream = try #require(try channel?.serverStreaming(Echo.stream, ByteBuffer("")))
            _ = try await stream.initialMetadata
            channel = nil
            stream.cancel()
            await #expect(throws: RPCError.self) { for try await _ in stream {} }
        }
    }

    @Test func serverShutDownUnderManyStreams() async throws {
        try await Loopback.run([Self.endless]) { loopback in
            let streams = try (0..<300).map { _ in
                try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            }
            for stream in streams { _ = try await stream.initialMetadata }
            #expect(loopback.server.openCalls == 300)
            await loopback.server.shutDown(gracePeriod: .milliseconds(1))
            for stream in streams {
                await #expect(throws: RPCError.self) { for try await _ in stream {} }
            }
        }
    }

    @Test func cancelRacingCompletion() async throws {
        try await Loopback.run([Self.echo]) { loopback in
            for _ in 0..<500 {
                let call = Task { try await loopback.channel.unary(Echo.unary, ByteBuffer("x")) }
                call.cancel()
                // Only an answer or the cancellation is right.
                switch await call.result {
                case .success(let response): #expect(response.text == "x")
                case .failure(let error): #expect((error as? RPCError)?.code == .cancelled)
                }
            }
        }
    }

    @Test func nobodyListens() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let channel = Channel(target: "127.0.0.1:1", group: group)
        let error = await #expect(throws: RPCError.self) {
            try await channel.unary(Echo.unary, ByteBuffer(""))
        }
        #expect(error?.code == .unavailable)
        let waiting = CallOptions(timeout: .milliseconds(50), waitForReady: true)
        let late = await #expect(throws: RPCError.self) {
            try await channel.unary(Echo.unary, ByteBuffer(""), options: waiting)
        }
        #expect(late?.code == .deadlineExceeded)
        await group.shutDown()
    }

    /// Connections, groups, servers and streams leak nothing.
    ///
    /// `./dev test` runs it alone, because other tests open and close things at the same time.
    @Test(.enabled(if: isAlone, "needs a process of its own"))
    func nothingIsLeftBehind() async throws {
        try await Self.comeAndGo()
        let before = try Self.held()
        for _ in 0..<50 { try await Self.comeAndGo() }
        // The core closes a connection a moment after its last user has released it.
        let deadline = ContinuousClock.now + .seconds(20)
        while try Self.held().descriptors > before.descriptors + 2, ContinuousClock.now < deadline {
            await Task.yield()
        }
        let after = try Self.held()
        #expect(after.descriptors <= before.descriptors + 2)
        // The core and Swift keep some threads. A leak of 1,000 connections on 100 queues would show.
        #expect(after.threads <= before.threads + 12)
        #expect(after.residentPages < before.residentPages + 8192, "32 MiB, for 1,000 connections")
    }

    private static let isAlone = ProcessInfo.processInfo.environment["MESSENGER_TEST_ALONE"] != nil

    private static func comeAndGo() async throws {
        try await Loopback.run([echo, endless]) { loopback in
            for _ in 0..<20 {
                let channel = Channel(target: "127.0.0.1:\(loopback.port)", group: loopback.group)
                _ = try await channel.unary(Echo.unary, ByteBuffer("x"))
                _ = try await channel.serverStreaming(Echo.stream, ByteBuffer("")).initialMetadata
                // Never sent: it shows whether the method's name is released.
                await #expect(throws: RPCError.self) {
                    try await channel.unary(longName, ByteBuffer(""), options: CallOptions(timeout: .zero))
                }
            }
        }
    }

    /// 64 KiB, so that a leak of 1,000 names shows.
    private static let longName = MethodDescriptor<ByteBuffer, ByteBuffer>(
        service: "test.Echo",
        method: String(repeating: "x", count: 1 << 16)
    )

    private static func held() throws -> (descriptors: Int, threads: Int, residentPages: Int) {
        let statm = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return (
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count,
            try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count,
            Int(statm[1]) ?? 0
        )
    }
}
