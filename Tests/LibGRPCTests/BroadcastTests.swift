import LibGRPC
import Synchronization
import Testing

/// Streams that subscribe to a broadcast.
@Suite(.timeLimit(.minutes(5)))
struct BroadcastTests {
    /// The source of the streams: numbers from 0 to an end that moves.
    private final class Numbers: Sendable {
        private let end = Atomic(0)
        let broadcast: Broadcast

        init(_ group: CompletionQueueGroup) {
            broadcast = Broadcast(group: group)
        }

        func grow(by count: Int) {
            end.add(count, ordering: .sequentiallyConsistent)
            broadcast.notify()
        }

        /// The numbers in order, then `OUT_OF_RANGE` at `limit`.
        func source(limit: Int) -> @Sendable () throws -> ByteBuffer? {
            let next = Atomic(0)
            return {
                let number = next.load(ordering: .relaxed)
                guard number < limit else { throw RPCError(code: .outOfRange, message: "\(limit)") }
                let end = self.end.load(ordering: .sequentiallyConsistent)
                guard number < end else { return nil }
                next.store(number + 1, ordering: .relaxed)
                return ByteBuffer("\(number)")
            }
        }
    }

    /// How the server's method subscribes.
    enum Way: CaseIterable { case inATask, withoutATask }

    /// A server with a stream of numbers below the limit in the request.
    private func withNumbers(
        _ way: Way,
        interceptors: [ServerInterceptor] = [],
        _ body: (Numbers, Loopback) async throws -> Void
    ) async throws {
        let shared = Mutex<Numbers?>(nil)
        func method(_ group: CompletionQueueGroup) -> [ServerMethod] {
            let numbers = Numbers(group)
            shared.withLock { $0 = numbers }
            switch way {
            case .inATask:
                return [
                    .serverStreaming(Echo.stream) { request, writer, context in
                        let limit = try Self.limit(request)
                        try await context.sendInitialMetadata(["limit": .string("\(limit)")])
                        try await writer.subscribe(to: numbers.broadcast, next: numbers.source(limit: limit))
                    }
                ]
            case .withoutATask:
                return [
                    .serverStreaming(Echo.stream, subscribingTo: numbers.broadcast) { request, _ in
                        let limit = try Self.limit(request)
                        return (["limit": .string("\(limit)")], numbers.source(limit: limit))
                    }
                ]
            }
        }
        try await Loopback.run(method, interceptors: interceptors) { loopback in
            try await body(try #require(shared.withLock { $0 }), loopback)
        }
    }

    private static func limit(_ request: ByteBuffer) throws(RPCError) -> Int {
        guard let limit = Int(request.text) else { throw RPCError(code: .invalidArgument, message: "no number") }
        return limit
    }

    /// The messages of a stream, and its status.
    private func receive(_ limit: Int, _ channel: Channel) async throws -> ([Int], Status.Code?) {
        var received: [Int] = []
        let stream = try channel.serverStreaming(Echo.stream, ByteBuffer("\(limit)"))
        do {
            for try await number in stream {
                received.append(Int(number.text) ?? -1)
            }
            return (received, nil)
        } catch {
            return (received, error.code)
        }
    }

    @Test(arguments: Way.allCases)
    func everyStreamGetsEverythingInOrder(way: Way) async throws {
        try await withNumbers(way) { numbers, loopback in
            try await withThrowingTaskGroup(of: ([Int], Status.Code?).self) { group in
                for _ in 0..<50 { group.addTask { try await receive(300, loopback.channel) } }
                // One by one, in bursts, and before many streams have been opened.
                for count in [1, 1, 1, 97, 0, 200] {
                    numbers.grow(by: count)
                    await Task.yield()
                }
                for try await (received, code) in group {
                    #expect(received == Array(0..<300))
                    #expect(code == .outOfRange)
                }
            }
        }
    }

    @Test(arguments: Way.allCases)
    func aStreamThatHasMuchToCatchUpOn(way: Way) async throws {
        try await withNumbers(way) { numbers, loopback in
            numbers.grow(by: 3_000)
            let (received, code) = try await receive(3_000, loopback.channel)
            #expect(received == Array(0..<3_000))
            #expect(code == .outOfRange)
        }
    }

    @Test(arguments: Way.allCases)
    func manyStreamsThatHaveMuchToCatchUpOn(way: Way) async throws {
        try await withNumbers(way) { numbers, loopback in
            numbers.grow(by: 100)
            try await withThrowingTaskGroup(of: ([Int], Status.Code?).self) { group in
                // More than one turn sends.
                for _ in 0..<300 { group.addTask { try await receive(100, loopback.channel) } }
                for try await (received, code) in group {
                    #expect(received == Array(0..<100))
                    #expect(code == .outOfRange)
                }
            }
        }
    }

    @Test(arguments: Way.allCases)
    func aStreamThatIsNotReadHoldsUpNobody(way: Way) async throws {
        try await withNumbers(way) { numbers, loopback in
            var options = ChannelOptions()
            options.streamWindow = 64 << 10
            let slow = Channel(target: "127.0.0.1:\(loopback.port)", options: options, group: loopback.group)
            let stalled = try slow.serverStreaming(Echo.stream, ByteBuffer("1000000"))
            _ = try await stalled.initialMetadata
            numbers.grow(by: 10_000)
            #expect(try await receive(10_000, loopback.channel).0.count == 10_000)
            // The stream continues where it was.
            var expected = 0
            for try await number in stalled where expected < 10_000 {
                #expect(number.text == "\(expected)")
                expected += 1
                if expected == 10_000 { break }
            }
        }
    }

    @Test(arguments: Way.allCases)
    func aClientThatLeaves(way: Way) async throws {
        try await withNumbers(way) { numbers, loopback in
            for _ in 0..<20 {
                let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("1000000"))
                _ = try await stream.initialMetadata
                numbers.grow(by: 1)
                stream.cancel()
            }
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }

    @Test(arguments: Way.allCases)
    func initialMetadataComesBeforeThereIsAnything(way: Way) async throws {
        try await withNumbers(way) { _, loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("7"))
            let metadata = try await stream.initialMetadata
            #expect(metadata.first("limit") == "7")
            stream.cancel()
        }
    }

    @Test(arguments: Way.allCases)
    func aRequestThatIsRefused(way: Way) async throws {
        let statuses = Mutex<[Status.Code]>([])
        let observing = ServerInterceptor { _ in
            CallObserver { status, _ in statuses.withLock { $0.append(status.code) } }
        }
        try await withNumbers(way, interceptors: [observing]) { numbers, loopback in
            numbers.grow(by: 1)
            let (received, code) = try await receive(1, loopback.channel)
            #expect(received == [0])
            #expect(code == .outOfRange)
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("many"))
            let error = await #expect(throws: RPCError.self) { for try await _ in stream {} }
            #expect(error?.code == .invalidArgument)
        }
        #expect(statuses.withLock { $0 } == [.outOfRange, .invalidArgument])
    }

    @Test func oneStreamFollowsOneAtATime() async throws {
        let (refusals, refused) = AsyncStream.makeStream(of: RPCError.self)
        func method(_ group: CompletionQueueGroup) -> [ServerMethod] {
            let numbers = Numbers(group)
            return [
                .serverStreaming(Echo.stream) { _, writer, _ in
                    await withTaskGroup(of: Void.self) { tasks in
                        for _ in 0..<2 {
                            tasks.addTask {
                                do {
                                    try await writer.subscribe(to: numbers.broadcast, next: numbers.source(limit: 10))
                                } catch let error as RPCError {
                                    refused.yield(error)
                                } catch {}
                            }
                        }
                    }
                }
            ]
        }
        try await Loopback.run(method) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            var errors = refusals.makeAsyncIterator()
            #expect(await errors.next()?.misuse == .concurrentSubscriptions)
            stream.cancel()
            #expect(await errors.next()?.code == .cancelled)
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }

    @Test func aBroadcastOfAnotherGroup() async throws {
        let (refusals, refused) = AsyncStream.makeStream(of: RPCError.self)
        let other = try CompletionQueueGroup(count: 1)
        let numbers = Numbers(other)
        let method = ServerMethod.serverStreaming(Echo.stream) { _, writer, _ in
            do {
                try await writer.subscribe(to: numbers.broadcast, next: numbers.source(limit: 10))
            } catch let error as RPCError {
                refused.yield(error)
                throw error
            }
        }
        try await Loopback.run([method]) { loopback in
            let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer(""))
            let error = await #expect(throws: RPCError.self) { for try await _ in stream {} }
            #expect(error?.code == .internal)
            let refusal = await refusals.first { _ in true }
            #expect(refusal?.misuse == .foreignBroadcast)
        }
        await other.shutDown()
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        let ended = Mutex<Status.Code?>(nil)
        let observing = ServerInterceptor { _ in CallObserver { status, _ in ended.withLock { $0 = status.code } } }
        func method(_ group: CompletionQueueGroup) -> [ServerMethod] {
            let numbers = Numbers(group)
            return [
                .serverStreaming(Echo.stream) { _, writer, context in
                    try await context.sendInitialMetadata([:])
                    withUnsafeCurrentTask { $0?.cancel() }
                    try await writer.subscribe(to: numbers.broadcast, next: numbers.source(limit: 1))
                }
            ]
        }
        try await Loopback.run(method, interceptors: [observing]) { loopback in
            let (received, code) = try await receive(1, loopback.channel)
            #expect(received.isEmpty)
            #expect(code == .cancelled)
        }
        #expect(ended.withLock { $0 } == .cancelled)
    }
}
