import Messenger
import Synchronization
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct RoomTests {
    private func room(messages: Int = 100_000) -> Room<Message> {
        Room(limits: .init(messages: messages, bytes: .max)) { ($0, $0.text.utf8.count) }
    }

    @Test func aReaderReceivesLaterMessages() async throws {
        let room = room()
        _ = try room.append(author: "a", text: "before")
        let cursor = try room.cursor()
        let time = try room.append(author: "a", text: "after")
        #expect(try room.all(cursor) == [Message(author: "a", text: "after", sendTime: time)])
    }

    /// The oldest messages are dropped before the reader has any. It wants what is held.
    @Test func aReaderOfTheLastMessagesBeginsLater() throws {
        let room = room(messages: 3)
        for text in ["1", "2", "3"] { _ = try room.append(author: "a", text: text) }
        let cursor = try room.cursor(last: 10)
        for text in ["4", "5"] { _ = try room.append(author: "a", text: text) }
        #expect(try room.next(cursor, until: nil)?.text == "3")
        for text in ["6", "7", "8"] { _ = try room.append(author: "a", text: text) }
        // Now it would miss messages.
        #expect(throws: RoomError.self) { try room.next(cursor, until: nil) }
    }

    @Test func aReaderWithAnEnd() throws {
        let room = room()
        for text in ["1", "2", "3"] { _ = try room.append(author: "a", text: text) }
        let cursor = try room.cursor(last: 3)
        let end = ReadEnd(time: room.latest, limit: 2)
        _ = try room.append(author: "a", text: "4")
        #expect(try room.next(cursor, until: end)?.text == "1")
        #expect(try room.next(cursor, until: end)?.text == "2")
        #expect(throws: RoomError.complete) { try room.next(cursor, until: end) }
    }

    @Test func readersAreNotifiedOfMessagesAndOfTheEnd() throws {
        let changes = Atomic(0)
        let limits = History<Message>.Limits(messages: 100, bytes: .max)
        let room = Room(limits: limits, onChange: { changes.add(1, ordering: .relaxed) }) { (message: Message) in
            (message, 0)
        }
        let cursor = try room.cursor()
        #expect(try room.next(cursor) == nil)
        _ = try room.append(author: "a", text: "1")
        #expect(changes.load(ordering: .relaxed) == 1)
        room.close()
        #expect(changes.load(ordering: .relaxed) == 2)
    }

    @Test func aCursorHasItsPosition() throws {
        let room = room()
        let time = try room.append(author: "a", text: "1")
        #expect(try room.cursor().position == time)
        #expect(try room.cursor(after: time).position == time)
    }

    /// Although the wall clock is an hour ahead at first, and is then set back.
    @Test func aReaderReceivesMessagesSinceItsStart() throws {
        let isSetBack = Atomic(false)
        let room = Room<Message>(
            limits: .init(messages: 100, bytes: .max),
            clock: {
                let lead: Int64 = isSetBack.load(ordering: .relaxed) ? 0 : 3600
                return SendTime(nanosecondsSinceEpoch: SendTime.now().nanosecondsSinceEpoch + lead * 1_000_000_000)
            }
        ) { ($0, $0.text.utf8.count) }
        for text in ["1", "2", "3"] { _ = try room.append(author: "a", text: text) }
        isSetBack.store(true, ordering: .relaxed)
        let none = try room.cursor(acceptedWithin: .zero)
        let all = try room.cursor(acceptedWithin: .seconds(600))
        _ = try room.append(author: "a", text: "4")
        #expect(try room.all(none).map(\.text) == ["4"])
        #expect(try room.all(all).map(\.text) == ["1", "2", "3", "4"])
    }

    @Test func resuming() async throws {
        let room = room()
        let times = try (0..<10).map { try room.append(author: "a", text: "\($0)") }
        let cursor = try room.cursor(after: times[4])
        _ = try room.append(author: "a", text: "10")
        #expect(try room.all(cursor).map(\.text) == (5...10).map { "\($0)" })
    }

    /// Send times still increase. A reader that resumes misses nothing and receives nothing twice.
    @Test func theClockIsSetBackByAYear() async throws {
        let clock = Mutex(SendTime(nanosecondsSinceEpoch: 1_000_000_000_000))
        let limits = History<Message>.Limits(messages: 100, bytes: .max)
        let room = Room(limits: limits, clock: { clock.withLock { $0 } }) { (message: Message) in (message, 0) }
        let follower = try room.cursor()
        let before = try (0..<3).map { try room.append(author: "a", text: "\($0)") }
        clock.withLock { $0 = SendTime(nanosecondsSinceEpoch: $0.nanosecondsSinceEpoch - 365 * 86_400_000_000_000) }
        let late = try room.cursor()
        let after = try (3..<6).map { try room.append(author: "a", text: "\($0)") }
        let returning = try room.cursor(after: before[1])
        clock.withLock { $0 = SendTime(nanosecondsSinceEpoch: 2_000_000_000_000) }
        let last = try room.append(author: "a", text: "6")

        let times = before + after + [last]
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
        #expect(try room.all(follower).map(\.sendTime) == times)
        #expect(try room.all(late).map(\.sendTime) == Array(times[3...]))
        #expect(try room.all(returning).map(\.sendTime) == Array(times[2...]))
    }

    /// Several senders and readers at once. All readers receive the same messages in the same order.
    @Test func allReadersReceiveTheSameOrder() async throws {
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
            for cursor in cursors {
                group.addTask {
                    var messages: [Message] = []
                    while messages.count < senders * perSender {
                        messages += try room.all(cursor)
                        await Task.yield()
                    }
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

    @Test func aReaderThatHasFallenBehindGetsAnError() async throws {
        let room = room(messages: 2)
        let cursor = try room.cursor()
        let times = try (0..<3).map { try room.append(author: "a", text: "\($0)") }
        #expect(throws: RoomError.noLongerHeld(heldAfter: times[0])) { try room.next(cursor) }
    }

    @Test func closingEndsReaders() throws {
        let room = room()
        let cursor = try room.cursor()
        _ = try room.append(author: "a", text: "last")
        room.close()
        let last = try #require(try room.next(cursor))
        #expect(last.text == "last")
        #expect(throws: RoomError.closed) { try room.next(cursor) }
        #expect(throws: RoomError.closed) { try room.cursor() }
        #expect(throws: RoomError.closed) { try room.append(author: "a", text: "late") }
    }
}

extension Room<Message> {
    /// All messages that a reader can receive now.
    fileprivate func all(_ cursor: Cursor) throws -> [Message] {
        var messages: [Message] = []
        while let next = try next(cursor) { messages.append(next) }
        return messages
    }
}

extension Room {
    func append(author: String, text: String) throws(RoomError) -> SendTime {
        try append(NewMessage(author: author, text: text))
    }

    /// Appends a message to the room's store. When this returns, it is stored.
    func append(author: String, text: String, store: any HistoryStore) async throws(RoomError) -> SendTime {
        try await append(NewMessage(author: author, text: text), store: store)
    }

    func append(_ message: NewMessage, store: any HistoryStore) async throws(RoomError) -> SendTime {
        let result = await withCheckedContinuation { continuation in
            store.append(message) { continuation.resume(returning: $0) }
        }
        return try result.mapError(RoomError.init).get()
    }
}
