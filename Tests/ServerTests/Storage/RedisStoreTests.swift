import Logging
import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(1)))
struct RedisStoreTests {
    private let redis: LocalRedis

    init() throws {
        redis = try LocalRedis()
    }

    private func store() throws -> RedisStore {
        try RedisStore(redis.address, retention: RetentionPolicy(), logger: Logger(label: "test"))
    }

    private func room(_ store: RedisStore) throws -> Room<Message> {
        let limits = History<Message>.Limits(messages: 1000, bytes: .max)
        let room = Room<Message>(limits: limits, store: store, start: store.latest) { ($0, $0.text.utf8.count) }
        try store.follow(into: room.tail)
        return room
    }

    /// Each time: the end comes right after the answer.
    @Test func whatIsAcknowledgedIsInTheTailAtTheEnd() async throws {
        for _ in 0..<6 {
            let store = try store()
            let room = try room(store)
            let cursor = try room.cursor()
            let time = try await room.append(author: "Ivan", text: "last", store: store)
            await store.close()
            #expect(try room.next(cursor)?.message.sendTime == time)
        }
    }

    /// How long it takes is for processes to show: here other tests hold up whoever waits for a time.
    @Test func whoseMessageWaitsForARedisThatHangsIsToldAtTheEnd() async throws {
        let store = try store()
        let room = try room(store)
        _ = try await room.append(author: "Ivan", text: "first", store: store)
        redis.freeze()
        let (results, answer) = AsyncStream.makeStream(of: Result<SendTime, StorageError>.self)
        store.append(author: "Ivan", text: "second") { answer.yield($0) }
        await store.close()
        #expect(await results.first { _ in true } == .failure(.unavailable(.cannotBeReached)))
        redis.thaw()
    }
}
