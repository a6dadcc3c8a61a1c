import GRPC
import Synchronization
import Testing

/// Streams that follow a broadcast.
@Suite(.timeLimit(.minutes(1)))
struct BroadcastTests {
    /// What the streams send: numbers, from 0 to an end that moves.
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

        /// The numbers in order; `OUT_OF_RANGE` in place of `limit`.
        func source(limit: Int) -> @Sendable () throws -> (message: ByteBuffer, hasMore: Bool)? {
            let next = Atomic(0)
            return {
                let number = next.load(ordering: .relaxed)
                guard number < limit else { throw RPCError(code: .outOfRange, message: "\(limit)") }
                let end = self.end.load(ordering: .sequentiallyConsistent)
                guard number < end else { return nil }
                next.store(number + 1, ordering: .relaxed)
                return (ByteBuffer("\(number)"), number + 1 < end)
            }
        }
    }

    /// A server with a stream of numbers below the limit that the request names.
    private func withNumbers(_ body: (Numbers, Loopback) async throws -> Void) async throws {
        let numbers = Mutex<Numbers?>(nil)
        let stream = ServerMethod.serverStreaming(Echo.stream) { request, writer, context in
            guard let numbers = numbers.withLock({ $0 }) else { return }
            try await context.sendInitialMetadata([:])
            try await writer.follow(numbers.broadcast, next: numbers.source(limit: Int(request.text) ?? 0))
        }
        try await Loopback.run([stream]) { loopback in
            let shared = Numbers(loopback.group)
            numbers.withLock { $0 = shared }
            try await body(shared, loopback)
        }
    }

    /// What comes of a stream, and the status that ends it.
    private func follow(_ limit: Int, _ channel: Channel) async throws -> ([Int], Status.Code?) {
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

    @Test func everyStreamGetsEverythingInOrder() async throws {
        try await withNumbers { numbers, loopback in
            try await withThrowingTaskGroup(of: ([Int], Status.Code?).self) { group in
                for _ in 0..<50 { group.addTask { try await follow(300, loopback.channel) } }
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

    @Test func aStreamThatHasMuchToCatchUpOn() async throws {
        try await withNumbers { numbers, loopback in
            numbers.grow(by: 10_000)
            let (received, code) = try await follow(10_000, loopback.channel)
            #expect(received == Array(0..<10_000))
            #expect(code == .outOfRange)
        }
    }

    @Test func aStreamThatIsNotReadHoldsUpNobody() async throws {
        try await withNumbers { numbers, loopback in
            var options = ChannelOptions()
            options.streamWindow = 64 << 10
            let slow = Channel(target: "127.0.0.1:\(loopback.port)", options: options, group: loopback.group)
            let stalled = try slow.serverStreaming(Echo.stream, ByteBuffer("1000000"))
            _ = try await stalled.initialMetadata
            numbers.grow(by: 50_000)
            #expect(try await follow(50_000, loopback.channel).0.count == 50_000)
            // It goes on where it was when it is read again.
            var expected = 0
            for try await number in stalled where expected < 50_000 {
                #expect(number.text == "\(expected)")
                expected += 1
                if expected == 50_000 { break }
            }
        }
    }

    @Test func aClientThatLeaves() async throws {
        try await withNumbers { numbers, loopback in
            for _ in 0..<20 {
                let stream = try loopback.channel.serverStreaming(Echo.stream, ByteBuffer("1000000"))
                _ = try await stream.initialMetadata
                numbers.grow(by: 1)
                stream.cancel()
            }
            while loopback.server.openCalls > 0 { await Task.yield() }
        }
    }
}
