import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

/// What a reader behind memory is given of a room in Redis.
@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(1)))
struct RedisReaderTests {
    private let redis: LocalRedis
    private let stream: RedisStream
    private let progress: RedisProgress

    /// A room whose follower has seen ten messages, the n-th of the millisecond n.
    init() throws {
        redis = try LocalRedis()
        stream = try redis.makeRoom(messages: 10)
        progress = try stream.progress()
    }

    private func time(_ number: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: number * 1_000_000) }

    private func read(
        after number: Int64,
        _ progress: RedisProgress,
        limit: HistoryPage.Limit = .init(messages: 64, bytes: .max)
    ) async -> Result<HistoryPage, StorageError> {
        await withCheckedContinuation { continuation in
            var reader = RedisReader(RedisHost(redis.address), progress)
            reader.serve([ReadJob(time: time(number), limit: limit, continuation: continuation)])
        }
    }

    @Test func aPart() async throws {
        let page = try await read(after: 3, progress, limit: .init(messages: 2, bytes: .max)).get()
        #expect(page.messages.map(\.text) == ["4", "5"])
        #expect(page.upTo == time(5))
    }

    /// Redis refuses all within MULTI then; what is missing is noticed as otherwise.
    @Test func aPartWhenRedisIsOutOfMemory() async throws {
        try redis.ask("CONFIG", "SET", "maxmemory", "1")
        let page = try await read(after: 3, progress, limit: .init(messages: 2, bytes: .max)).get()
        #expect(page.messages.map(\.text) == ["4", "5"])
        #expect(page.upTo == time(5))
        #expect(try await read(after: 8, progress).get().messages.map(\.text) == ["9", "10"])
        try redis.ask("XDEL", "room", "10-0")
        #expect(try await read(after: 8, progress).get().messages.map(\.text) == ["9"])
        try redis.ask("DEL", "room")
        #expect(await read(after: 3, progress).failure != nil)
    }

    @Test func aPageIsBoundedByItsBytes() async throws {
        for number in 11...14 {
            try redis.ask("XADD", "room", "\(number)-0", "a", "", "t", String(repeating: "x", count: 1000))
        }
        let progress = try stream.progress()
        let first = try await read(after: 9, progress, limit: .init(messages: 64, bytes: 1500)).get()
        #expect(first.messages.map(\.sendTime) == [10, 11, 12].map(time))
        #expect(first.upTo == time(12))
        let second = try await read(after: 12, progress, limit: .init(messages: 64, bytes: 1)).get()
        #expect(second.messages.map(\.sendTime) == [time(13)])
    }

    /// The rest comes when it has been followed.
    @Test func noMoreThanWasFollowed() async throws {
        try redis.add(11)
        let page = try await read(after: 8, progress).get()
        #expect(page.messages.map(\.text) == ["9", "10"])
        #expect(page.upTo == time(10))
    }

    /// Redis is back with five of ten messages and a new one, and the follower has not noticed yet.
    @Test func aLossIsNotReadAcross() async throws {
        try redis.ask("DEL", "room")
        for number in [1, 2, 3, 4, 5, 11] { try redis.add(number) }
        #expect(await read(after: 3, progress).failure == .unavailable(.cannotBeReached))

        // Now it has.
        try stream.begin(after: time(10))
        #expect(await read(after: 3, progress).failure == .noLongerHeld(heldAfter: time(10)))
        #expect(await read(after: 3, try stream.progress()).failure == .noLongerHeld(heldAfter: time(10)))
    }

    /// The last entry too: that is no loss.
    @Test(arguments: [4, 10])
    func oneRemovedByHandIsPassedOver(_ number: Int) async throws {
        try redis.ask("XDEL", "room", "\(number)-0")
        let page = try await read(after: 3, progress).get()
        #expect(page.messages.map(\.text) == (4...10).filter { $0 != number }.map { "\($0)" })
        #expect(page.upTo == time(10))
    }

    /// Those who wait behind one that Redis leaves without an answer do not wait as long each: 5 s in all.
    @Test func allWhoWaitForARedisThatHangsAreToldAtOnce() async throws {
        redis.freeze()
        let job = time(3)
        let jobs = Mutex<[ReadJob]>([])
        let answers = (0..<3).map { _ in
            Task { @Sendable in
                await withCheckedContinuation { continuation in
                    jobs.withLock {
                        $0.append(ReadJob(time: job, limit: .init(messages: 1, bytes: 1), continuation: continuation))
                    }
                }
            }
        }
        while jobs.withLock({ $0.count }) < 3 { await Task.yield() }
        var reader = RedisReader(RedisHost(redis.address), progress)
        let duration = ContinuousClock().measure { reader.serve(jobs.withLock(\.self)) }
        for answer in answers { #expect(await answer.value.failure == .unavailable(.cannotBeReached)) }
        redis.thaw()
        #expect(duration < .seconds(9))
    }

    @Test func whatWasTrimmedIsTold() async throws {
        try redis.ask("XTRIM", "room", "MAXLEN", "4")
        let heldAfter = SendTime(nanosecondsSinceEpoch: 6_999_999)
        #expect(await read(after: 3, progress).failure == .noLongerHeld(heldAfter: heldAfter))
        #expect(try await read(after: 7, progress).get().messages.map(\.text) == ["8", "9", "10"])
    }

    @Test func whatWasTrimmedWhollyIsTold() async throws {
        try redis.ask("XTRIM", "room", "MAXLEN", "0")
        #expect(await read(after: 3, progress).failure == .noLongerHeld(heldAfter: time(10)))
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
