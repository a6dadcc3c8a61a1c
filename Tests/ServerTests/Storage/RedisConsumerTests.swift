import Logging
import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

/// What a server does when Redis has lost messages.
@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(5)))
struct RedisConsumerTests {
    private let room: RedisRoom

    init() throws {
        room = try RedisRoom(messages: 5)
    }

    /// Only the first messages are there, as after a restart from an older copy.
    private func lose(after number: Int) throws {
        try room.redis.call("DEL", "room")
        for number in 1...number { try room.add(number) }
    }

    /// Consumes until every acknowledged message was read, or reported lost.
    /// - Returns: From when on its readers are told that messages are held.
    private func consume(_ state: RedisStoreState) -> [SendTime] {
        let resets = Mutex<[SendTime]>([])
        let tail = HistoryTail(
            reserve: { _ in [] },
            publish: { _ in },
            reset: { time in resets.withLock { $0.append(time) } }
        )
        state.close()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        var consumer = RedisConsumer(host: RedisHost(room.redis.address), tail: tail, state: state, logger: logger)
        consumer.run()
        return resets.withLock { $0 }
    }

    private var begun: SendTime? {
        get throws { try room.stream.snapshot(after: .zero, count: 1).begun }
    }

    /// No count shows it, because nobody has read it.
    @Test func anAcknowledgedMessageIsLostBeforeItWasRead() throws {
        let state = try room.state()
        state.acknowledge(room.time(6))
        #expect(consume(state) == [room.time(6, plus: 1)])
        #expect(try begun == room.time(6, plus: 1))
    }

    @Test func anAcknowledgedMessageIsLostBeforeALaterOne() throws {
        let state = try room.state()
        state.acknowledge(room.time(6))
        try room.add(7)
        state.acknowledge(room.time(7))
        #expect(consume(state) == [room.time(7, plus: 1)])
    }

    /// A replica may receive it later.
    @Test func aMessageMissingInAReplicaIsNotLost() throws {
        let state = try room.state()
        state.acknowledge(room.time(6))
        try room.redis.call("REPLICAOF", "127.0.0.1", "1")
        #expect(consume(state) == [])
        #expect(try begun == room.time(0))
        try room.redis.call("REPLICAOF", "NO", "ONE")
        state.acknowledge(room.time(6))
        #expect(consume(state) == [room.time(6, plus: 1)])
    }

    @Test func acknowledgedMessagesAreThere() throws {
        let state = try room.state()
        for number in 6...7 {
            try room.add(number)
            state.acknowledge(room.time(Int64(number)))
        }
        #expect(consume(state) == [])
        #expect(try begun == room.time(0))
    }

    /// Another server had read two messages, and has detected that a third is lost. This one had read two more, and as
    /// many have been added since. So the count looks as if nothing were lost.
    @Test func aServerThatHasReadMoreThanTheReportMovesBegunFurther() throws {
        let state = try room.state()
        try lose(after: 2)
        try room.stream.setBegun(to: room.time(3, plus: 1))
        for id in ["3-5", "3-6", "3-7", "6-0"] { try room.redis.call("XADD", "room", id, "a", "Ivan", "t", id) }
        state.acknowledge(room.time(6))
        #expect(consume(state) == [room.time(6, plus: 1)])
        #expect(try begun == room.time(6, plus: 1))
    }

    /// Otherwise servers would report to each other forever.
    @Test func aServerThatHasReadNoMoreThanTheReportDoesNotMoveBegun() throws {
        try lose(after: 2)
        let state = try room.state()
        try room.stream.setBegun(to: room.time(3, plus: 1))
        try room.add(6)
        state.acknowledge(room.time(6))
        #expect(consume(state) == [room.time(6)])
        #expect(try begun == room.time(3, plus: 1))
    }
}
