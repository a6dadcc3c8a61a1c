import Logging
import Messenger
import Redis
import Synchronization
import Testing

@testable import Server

@Suite(.enabled(if: LocalRedis.isAvailable, LocalRedis.absence), .timeLimit(.minutes(1)))
struct RedisHomeTests {
    private let redis: LocalRedis

    init() throws {
        redis = try LocalRedis()
    }

    private func home() throws -> RedisHome {
        try RedisHome(redis.address, retention: Retention(), logger: Logger(label: "test"))
    }

    private func room(_ home: RedisHome) throws -> Room<Message> {
        let limits = History<Message>.Limits(messages: 1000, bytes: .max)
        let room = Room<Message>(limits: limits, home: home, start: home.latest) { ($0, $0.text.utf8.count) }
        try home.follow(into: room.tail)
        return room
    }

    /// Each time: the end comes right after the answer.
    @Test func whatIsAcknowledgedIsInTheTailAtTheEnd() async throws {
        for _ in 0..<6 {
            let home = try home()
            let room = try room(home)
            let cursor = try room.cursor()
            let time = try await room.append(author: "Ivan", text: "last", home: home)
            await home.close()
            #expect(try room.next(cursor)?.message.sendTime == time)
        }
    }

    /// How long it takes is for processes to show: here other tests hold up whoever waits for a time.
    @Test func whoseMessageWaitsForARedisThatHangsIsToldAtTheEnd() async throws {
        let home = try home()
        let room = try room(home)
        _ = try await room.append(author: "Ivan", text: "first", home: home)
        redis.freeze()
        let (results, answer) = AsyncStream.makeStream(of: Result<SendTime, HomeError>.self)
        home.append(author: "Ivan", text: "second") { answer.yield($0) }
        await home.close()
        #expect(await results.first { _ in true } == .failure(.unavailable(.cannotBeReached)))
        redis.thaw()
    }
}
