import Messenger
import Synchronization
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(1)))
struct RoomTests {
    private func room(messages: Int = 100_000) -> Room<Message> {
        Room(limits: .init(messages: messages, bytes: .max)) { ($0, $0.text.utf8.count) }
    }

    @Test func aReaderGetsWhatIsAcceptedAfterItCame() async throws {
        let room = room()
        _ = try room.append(author: "a", text: "before")
        var cursor = try room.cursor()
        let time = try room.append(author: "a", text: "after")
        #expect(try await room.next(&cursor, atMost: 10) == [Message(author: "a", text: "after", sendTime: time)])
    }

    @Test func aReaderThatWaitsIsWoken() async throws {
        let room = room()
        var cursor = try room.cursor()
        async let appended = room.append(author: "a", text: "later")
        #expect(try await room.next(&cursor, atMost: 10).map(\.text) == ["later"])
        _ = try await appended
    }

    @Test func thePositionIsWhereTheStreamBegins() throws {
        let room = room()
        let time = try room.append(author: "a", text: "1")
        #expect(try room.cursor().position == time)
        #expect(try room.cursor(after: time).position == time)
    }

    @Test func resumesWithoutASeam() async throws {
        let room = room()
        let times = try (0..<10).map { try room.append(author: "a", text: "\($0)") }
        var cursor = try room.cursor(after: times[4])
        _ = try room.append(author: "a", text: "10")
        var texts: [String] = []
        while texts.count < 6 { texts += try await room.next(&cursor, atMost: 2).map(\.text) }
        #expect(texts == (5...10).map { "\($0)" })
    }

    /// Send times go on increasing, and a reader that comes back misses nothing and gets nothing twice.
    @Test func theClockIsSetBackByAYear() async throws {
        let clock = Mutex(SendTime(nanosecondsSinceEpoch: 1_000_000_000_000))
        let limits = History<Message>.Limits(messages: 100, bytes: .max)
        let room = Room(limits: limits, clock: { clock.withLock { $0 } }) { (message: Message) in (message, 0) }
        var follower = try room.cursor()
        let before = try (0..<3).map { try room.append(author: "a", text: "\($0)") }
        clock.withLock { $0 = SendTime(nanosecondsSinceEpoch: $0.nanosecondsSinceEpoch - 365 * 86_400_000_000_000) }
        var late = try room.cursor()
        let after = try (3..<6).map { try room.append(author: "a", text: "\($0)") }
        var returning = try room.cursor(after: before[1])
        clock.withLock { $0 = SendTime(nanosecondsSinceEpoch: 2_000_000_000_000) }
        let last = try room.append(author: "a", text: "6")

        let times = before + after + [last]
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
        #expect(try await room.next(&follower, atMost: 10).map(\.sendTime) == times)
        #expect(try await room.next(&late, atMost: 10).map(\.sendTime) == Array(times[3...]))
        #expect(try await room.next(&returning, atMost: 10).map(\.sendTime) == Array(times[2...]))
    }

    /// Several senders and several readers at once: all readers get the same, in one order, each message once.
    @Test func oneOrderForAll() async throws {
        let room = room()
        let (senders, perSender, readers) = (4, 500, 8)
        let cursors = try (0..<readers).map { _ in try room.cursor() }
        let received = try await withThrowingTaskGroup(of: [Message]?.self) { group in
            for sender in 0..<senders {
                group.addTask {
                    for index in 0..<perSender { _ = try room.append(author: "\(sender)", text: "\(index)") }
                    return nil
                }
            }
            for start in cursors {
                group.addTask {
                    var cursor = start
                    var messages: [Message] = []
                    while messages.count < senders * perSender { messages += try await room.next(&cursor, atMost: 7) }
                    return messages
                }
            }
            var received: [[Message]] = []
            for try await messages in group { if let messages { received.append(messages) } }
            return received
        }
        for messages in received {
            #expect(messages == received[0])
            #expect(zip(messages, messages.dropFirst()).allSatisfy { $0.sendTime < $1.sendTime })
            for sender in 0..<senders {
                let own = messages.filter { $0.author == "\(sender)" }.map(\.text)
                #expect(own == (0..<perSender).map { "\($0)" })
            }
        }
    }

    @Test func aReaderThatFellBehindIsTold() async throws {
        let room = room(messages: 2)
        var cursor = try room.cursor()
        let times = try (0..<3).map { try room.append(author: "a", text: "\($0)") }
        await #expect(throws: RoomError.noLongerHeld(heldAfter: times[0])) { try await room.next(&cursor, atMost: 1) }
    }

    @Test func closingEndsReaders() async throws {
        let room = room()
        var cursor = try room.cursor()
        async let closed: Void = room.close()
        await #expect(throws: RoomError.closed) { try await room.next(&cursor, atMost: 1) }
        await closed
        #expect(throws: RoomError.closed) { try room.cursor() }
        #expect(throws: RoomError.closed) { try room.append(author: "a", text: "too late") }
    }

    @Test func aReaderGetsWhatWasAcceptedBeforeTheClosing() async throws {
        let room = room()
        var cursor = try room.cursor()
        _ = try room.append(author: "a", text: "last")
        room.close()
        #expect(try await room.next(&cursor, atMost: 1).map(\.text) == ["last"])
        await #expect(throws: RoomError.closed) { try await room.next(&cursor, atMost: 1) }
    }

    @Test func cancellingEndsTheWait() async throws {
        let room = room()
        let cursor = try room.cursor()
        let reader = Task {
            var own = cursor
            return try await room.next(&own, atMost: 1)
        }
        room.cancel(cursor)
        await #expect(throws: RoomError.cancelled) { try await reader.value }
    }

    @Test func readersThatLeftDoNotPileUp() {
        var register = BellRegister()
        for _ in 0..<10_000 {
            let bell = Bell()
            bell.cancel()
            register.add(bell)
        }
        #expect(register.count <= 64)
    }
}
