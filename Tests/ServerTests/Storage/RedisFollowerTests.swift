import Logging
import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

/// What a server makes of a Redis that has lost messages.
@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(1)))
struct RedisFollowerTests {
    private let redis: LocalRedis
    private let stream: RedisStream

    init() throws {
        redis = try LocalRedis()
        stream = try redis.makeRoom(messages: 5)
    }

    private func time(_ number: Int64, plus nanoseconds: Int64 = 0) -> SendTime {
        SendTime(nanosecondsSinceEpoch: number * 1_000_000 + nanoseconds)
    }

    /// As after a restart from an older copy: only the first messages are there, and nothing tells of the others.
    private func forget(after number: Int) throws {
        try redis.ask("DEL", "room")
        for number in 1...number { try redis.add(number) }
    }

    /// Follows until all that was acknowledged is seen, or passed over.
    /// - Returns: From when on its readers are told that messages are held.
    private func follow(_ progress: RedisProgress) -> [SendTime] {
        let restarts = Mutex<[SendTime]>([])
        let tail = HistoryTail(
            reserve: { _ in [] },
            publish: { _ in },
            reset: { time in restarts.withLock { $0.append(time) } }
        )
        progress.close()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        var follower = RedisFollower(host: RedisHost(redis.address), tail: tail, progress: progress, logger: logger)
        follower.run()
        return restarts.withLock { $0 }
    }

    private var begun: SendTime? {
        get throws { try stream.snapshot(after: .zero, atMost: 1).begun }
    }

    /// No count tells of it, as nobody has seen it.
    @Test func whatWasToldAndIsLostBeforeItWasSeen() throws {
        let progress = try stream.progress()
        progress.acknowledge(time(6))
        #expect(follow(progress) == [time(6, plus: 1)])
        #expect(try begun == time(6, plus: 1))
    }

    @Test func whatWasToldAndIsLostBeforeALaterOne() throws {
        let progress = try stream.progress()
        progress.acknowledge(time(6))
        try redis.add(7)
        progress.acknowledge(time(7))
        #expect(follow(progress) == [time(7, plus: 1)])
    }

    /// A replica may get it later.
    @Test func whatIsMissingInAReplicaIsNotLost() throws {
        let progress = try stream.progress()
        progress.acknowledge(time(6))
        try redis.ask("REPLICAOF", "127.0.0.1", "1")
        #expect(follow(progress) == [])
        #expect(try begun == time(0))
        try redis.ask("REPLICAOF", "NO", "ONE")
        progress.acknowledge(time(6))
        #expect(follow(progress) == [time(6, plus: 1)])
    }

    @Test func whatWasToldAndIsThere() throws {
        let progress = try stream.progress()
        for number in 6...7 {
            try redis.add(number)
            progress.acknowledge(time(Int64(number)))
        }
        #expect(follow(progress) == [])
        #expect(try begun == time(0))
    }

    /// Another server that had seen two messages has found that a third is lost. This one had given its readers two more, and
    /// as many have come since: the count is as if nothing were lost.
    @Test func whoHasSeenMoreThanTheOneWhoSaysSo() throws {
        let progress = try stream.progress()
        try forget(after: 2)
        try stream.begin(after: time(3, plus: 1))
        for id in ["3-5", "3-6", "3-7", "6-0"] { try redis.ask("XADD", "room", id, "a", "Ivan", "t", id) }
        progress.acknowledge(time(6))
        #expect(follow(progress) == [time(6, plus: 1)])
        #expect(try begun == time(6, plus: 1))
    }

    /// Or servers that say so in turn would never be done.
    @Test func whoHasSeenNoMoreThanTheOneWhoSaysSo() throws {
        try forget(after: 2)
        let progress = try stream.progress()
        try stream.begin(after: time(3, plus: 1))
        try redis.add(6)
        progress.acknowledge(time(6))
        #expect(follow(progress) == [time(6)])
        #expect(try begun == time(3, plus: 1))
    }
}
