import Logging
import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(5)))
struct RedisStoreTests {
    private let redis: LocalRedis

    init() throws {
        redis = try LocalRedis()
    }

    private func store() throws -> RedisStore {
        try RedisStore(redis.address, retention: RetentionPolicy(), logger: Logger(label: "test"))
    }

    private func room(_ store: RedisStore) -> Room<Message> {
        let limits = History<Message>.Limits(messages: 1000, bytes: .max)
        let room = Room<Message>(limits: limits, store: store, start: store.latest) { ($0, $0.text.utf8.count) }
        store.follow(into: room.tail)
        return room
    }

    /// Each time the store is closed right after the acknowledgement.
    @Test func acknowledgedMessagesAreInTheTailAfterClosing() async throws {
        for _ in 0..<6 {
            let store = try store()
            let room = room(store)
            let cursor = try room.cursor()
            let time = try await room.append(author: "Ivan", text: "last", store: store)
            await store.close()
            #expect(try room.next(cursor)?.sendTime == time)
        }
    }

    /// Acceptance tests check how long it takes. Other tests would disturb the measurement here.
    @Test func closingFailsMessagesThatWaitForAFrozenRedis() async throws {
        let store = try store()
        let room = room(store)
        _ = try await room.append(author: "Ivan", text: "first", store: store)
        redis.freeze()
        let (results, continuation) = AsyncStream.makeStream(of: Result<SendTime, StorageError>.self)
        store.append(NewMessage(author: "Ivan", text: "second")) { continuation.yield($0) }
        await store.close()
        #expect(await results.first { _ in true } == .failure(.unavailable(.cannotBeReached)))
        redis.thaw()
    }
}

/// What a reader that has fallen behind memory receives from a room in Redis.
@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(5)))
struct RedisReaderTests {
    private let room: RedisRoom
    private let state: RedisStoreState

    /// A room of ten messages, which the consumer has read.
    init() throws {
        room = try RedisRoom(messages: 10)
        state = try room.state()
    }

    private func read(
        after number: Int64,
        _ state: RedisStoreState,
        limit: HistoryPage.Limit = .init(messages: 64, bytes: .max)
    ) async -> Result<HistoryPage, StorageError> {
        await withCheckedContinuation { continuation in
            var reader = RedisReader(RedisHost(room.redis.address), state, FailureLog(logger: Logger(label: "test")))
            reader.read([ReadJob(request: .page(after: room.time(number), limit: limit), continuation: continuation)])
        }
    }

    @Test func aPage() async throws {
        let page = try await read(after: 3, state, limit: .init(messages: 2, bytes: .max)).get()
        #expect(page.messages.map(\.text) == ["4", "5"])
        #expect(page.upTo == room.time(5))
    }

    /// Then Redis refuses `MULTI`. Losses are detected as usual.
    @Test func aPageWhenRedisIsOutOfMemory() async throws {
        try room.redis.call("CONFIG", "SET", "maxmemory", "1")
        let page = try await read(after: 3, state, limit: .init(messages: 2, bytes: .max)).get()
        #expect(page.messages.map(\.text) == ["4", "5"])
        #expect(page.upTo == room.time(5))
        #expect(try await read(after: 8, state).get().messages.map(\.text) == ["9", "10"])
        try room.redis.call("XDEL", "room", "10-0")
        #expect(try await read(after: 8, state).get().messages.map(\.text) == ["9"])
        try room.redis.call("DEL", "room")
        #expect(await read(after: 3, state).failure != nil)
    }

    @Test func aPageIsLimitedByBytes() async throws {
        for number in 11...14 {
            try room.redis.call("XADD", "room", "\(number)-0", "a", "", "t", String(repeating: "x", count: 1000))
        }
        let state = try room.state()
        let first = try await read(after: 9, state, limit: .init(messages: 64, bytes: 1500)).get()
        #expect(first.messages.map(\.sendTime) == [10, 11, 12].map { room.time($0) })
        #expect(first.upTo == room.time(12))
        let second = try await read(after: 12, state, limit: .init(messages: 64, bytes: 1)).get()
        #expect(second.messages.map(\.sendTime) == [room.time(13)])
    }

    @Test func aPageHasOnlyWhatTheConsumerHasRead() async throws {
        try room.add(11)
        let page = try await read(after: 8, state).get()
        #expect(page.messages.map(\.text) == ["9", "10"])
        #expect(page.upTo == room.time(10))
    }

    /// Redis came back with five of ten messages and a new one, and the consumer has not noticed yet.
    @Test func noPageCrossesALoss() async throws {
        try room.redis.call("DEL", "room")
        for number in [1, 2, 3, 4, 5, 11] { try room.add(number) }
        #expect(await read(after: 3, state).failure == .unavailable(.cannotBeReached))

        // Now it has.
        try room.stream.setBegun(to: room.time(10))
        #expect(await read(after: 3, state).failure == .noLongerHeld(heldAfter: room.time(10)))
        #expect(await read(after: 3, try room.state()).failure == .noLongerHeld(heldAfter: room.time(10)))
    }

    /// Also the last entry. That is not a loss.
    @Test(arguments: [4, 10])
    func deletedEntriesAreSkipped(_ number: Int) async throws {
        try room.redis.call("XDEL", "room", "\(number)-0")
        let page = try await read(after: 3, state).get()
        #expect(page.messages.map(\.text) == (4...10).filter { $0 != number }.map { "\($0)" })
        #expect(page.upTo == room.time(10))
    }

    /// Only the first one waits for the timeout of 5 s.
    @Test func allReadersThatWaitForAFrozenRedisFailTogether() async throws {
        room.redis.freeze()
        let jobs = Mutex<[ReadJob]>([])
        let time = room.time(3)
        let results = (0..<3).map { _ in
            Task { @Sendable in
                await withCheckedContinuation { continuation in
                    let request = ReadJob.Request.page(after: time, limit: .init(messages: 1, bytes: 1))
                    let job = ReadJob(request: request, continuation: continuation)
                    jobs.withLock { $0.append(job) }
                }
            }
        }
        while jobs.withLock({ $0.count }) < 3 { await Task.yield() }
        var reader = RedisReader(RedisHost(room.redis.address), state, FailureLog(logger: Logger(label: "test")))
        let duration = ContinuousClock().measure { reader.read(jobs.withLock(\.self)) }
        for result in results { #expect(await result.value.failure == .unavailable(.cannotBeReached)) }
        room.redis.thaw()
        #expect(duration < .seconds(9))
    }

    @Test func aReaderIsToldThatMessagesWereTrimmed() async throws {
        try room.redis.call("XTRIM", "room", "MAXLEN", "4")
        let heldAfter = SendTime(nanosecondsSinceEpoch: 6_999_999)
        #expect(await read(after: 3, state).failure == .noLongerHeld(heldAfter: heldAfter))
        #expect(try await read(after: 7, state).get().messages.map(\.text) == ["8", "9", "10"])
    }

    @Test func aReaderIsToldThatAllMessagesWereTrimmed() async throws {
        try room.redis.call("XTRIM", "room", "MAXLEN", "0")
        #expect(await read(after: 3, state).failure == .noLongerHeld(heldAfter: room.time(10)))
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
