import Foundation
import Logging
import Messenger
import SQLite
import Synchronization
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct SQLiteStoreTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path(of: "history.db") }

    private func store(_ retention: RetentionPolicy = RetentionPolicy()) throws -> SQLiteStore {
        try SQLiteStore(path: path, sync: .normal, retention: retention, logger: Logger(label: "test"))
    }

    /// A room with all messages in the file, and this many in memory.
    private func room(_ store: SQLiteStore, inMemory messages: Int = 1000) throws -> Room<Message> {
        let room = Room<Message>(
            limits: .init(messages: messages, bytes: .max),
            store: store,
            start: store.latest
        ) { ($0, $0.text.utf8.count) }
        try store.follow(into: room.tail)
        return room
    }

    private func send(_ texts: [String], to room: Room<Message>, _ store: SQLiteStore) async throws -> [SendTime] {
        var times: [SendTime] = []
        for text in texts { times.append(try await room.append(author: "a", text: text, store: store)) }
        return times
    }

    /// Reads as a stream does: from the tail, or from the file if the tail no longer has the message.
    private func take(_ count: Int, from room: Room<Message>, _ cursor: Room<Message>.Cursor) async throws -> [Message]
    {
        var messages: [Message] = []
        while messages.count < count {
            do {
                guard let next = try room.next(cursor) else {
                    await Task.yield()
                    continue
                }
                messages.append(next)
            } catch RoomError.onlyInStorage {
                while let some = try await room.catchUp(cursor, limit: .init(messages: 7, bytes: .max)) {
                    messages += some
                }
            }
        }
        return messages
    }

    /// A message from before the server's start is found by its time, unless the clock was set back since.
    @Test(arguments: [(ahead: 0, within: 600, expected: ["old", "new"]), (0, 0, ["new"]), (3600, 600, ["new"])])
    func aReaderThatStartedBeforeTheServer(ahead: Int, within: Int, expected: [String]) async throws {
        let lead = Int64(ahead) * 1_000_000_000
        let first = try store()
        let early = Room<Message>(
            limits: .init(messages: 10, bytes: .max),
            store: first,
            start: first.latest,
            clock: { SendTime(nanosecondsSinceEpoch: SendTime.now().nanosecondsSinceEpoch + lead) }
        ) { ($0, $0.text.utf8.count) }
        try first.follow(into: early.tail)
        _ = try await send(["old"], to: early, first)
        await first.close()

        let second = try store()
        let room = try room(second)
        let cursor = try room.cursor(acceptedWithin: .seconds(within))
        _ = try await send(["new"], to: room, second)
        #expect(try await take(expected.count, from: room, cursor).map(\.text) == expected)
        await second.close()
    }

    @Test func messagesSurviveARestart() async throws {
        let texts = ["", "naïve 🙂", "a\u{0}b", String(repeating: "x", count: 100_000)]
        let first = try store()
        let start = first.latest
        let times = try await send(texts, to: try room(first), first)
        await first.close()

        let second = try store()
        let room = try room(second)
        #expect(second.latest == times.last)
        let cursor = try room.cursor(after: start)
        let messages = try await take(texts.count, from: room, cursor)
        #expect(messages.map(\.text) == texts)
        #expect(messages.map(\.sendTime) == times)
        let next = try await send(["next"], to: room, second)
        #expect(next[0] > times[3])
        #expect(try await take(1, from: room, cursor).map(\.sendTime) == next)
        await second.close()
    }

    @Test func aReaderBehindMemoryReadsFromTheFile() async throws {
        let store = try store()
        let room = try room(store, inMemory: 3)
        let follower = try room.cursor()
        let first = try await send((0..<5).map { "\($0)" }, to: room, store)
        #expect(try await take(5, from: room, follower).map(\.sendTime) == first)
        let texts = (5..<100).map { "\($0)" }
        let times = try await send(texts, to: room, store)
        #expect(try await take(95, from: room, follower).map(\.sendTime) == times)
        // It follows the tail again.
        async let later = send(["later"], to: room, store)
        #expect(try await take(1, from: room, follower).map(\.text) == ["later"])
        _ = try await later
        await store.close()
    }

    @Test func aPageHasAByteLimit() async throws {
        let store = try store()
        let start = store.latest
        let times = try await send((1...9).map { String(repeating: "x", count: $0 * 1000) }, to: try room(store), store)
        let page = try await store.read(after: start, limit: .init(messages: 64, bytes: 5000))
        #expect(page.messages.map(\.text.count) == [1000, 2000, 3000])
        #expect(page.upTo == times[2])
        // A page has at least one message.
        let long = try await store.read(after: times[7], limit: .init(messages: 64, bytes: 5000))
        #expect(long.messages.map(\.text.count) == [9000])
        await store.close()
    }

    /// Readers that follow, and readers that resume after each message, while memory holds ten messages.
    @Test func allReadersSeeOneOrder() async throws {
        let store = try store()
        let room = try room(store, inMemory: 10)
        let start = try room.cursor().position
        let (senders, perSender, readers) = (8, 100, 4)
        let received = try await withThrowingTaskGroup(of: [Message]?.self) { group in
            for sender in 0..<senders {
                group.addTask {
                    for index in 0..<perSender {
                        _ = try await room.append(author: "\(sender)", text: "\(index)", store: store)
                    }
                    return nil
                }
            }
            for _ in 0..<readers {
                group.addTask {
                    let cursor = try room.cursor(after: start)
                    return try await take(senders * perSender, from: room, cursor)
                }
                group.addTask {
                    var messages: [Message] = []
                    while messages.count < senders * perSender {
                        let cursor = try room.cursor(after: messages.last?.sendTime ?? start)
                        messages += try await take(1, from: room, cursor)
                    }
                    return messages
                }
            }
            var received: [[Message]] = []
            for try await messages in group { if let messages { received.append(messages) } }
            return received
        }
        #expect(received.count == 2 * readers)
        for messages in received {
            #expect(messages == received[0])
            #expect(zip(messages, messages.dropFirst()).allSatisfy { $0.sendTime < $1.sendTime })
        }
        await store.close()
    }

    @Test func messagesOverTheLimitAreRemoved() async throws {
        let store = try store(RetentionPolicy(maxMessages: 20))
        let room = try room(store, inMemory: 2)
        let start = try room.cursor().position
        let times = try await send((0..<100).map { "\($0)" }, to: room, store)
        #expect(throws: RoomError.noLongerHeld(heldAfter: store.heldAfter)) { try room.cursor(after: start) }
        let cursor = try room.cursor(after: store.heldAfter)
        let held = times.filter { $0 > store.heldAfter }
        #expect((10...20).contains(held.count))
        #expect(try await take(held.count, from: room, cursor).map(\.sendTime) == held)
        await store.close()
        let again = try self.store(RetentionPolicy(maxMessages: 20))
        #expect(again.heldAfter == store.heldAfter)
        await again.close()
    }

    @Test func aReaderIsToldThatItsNextMessageIsGone() async throws {
        let store = try store(RetentionPolicy(maxMessages: 8))
        let room = try room(store, inMemory: 2)
        let cursor = try room.cursor()
        _ = try await send((0..<50).map { "\($0)" }, to: room, store)
        await #expect(throws: RoomError.noLongerHeld(heldAfter: store.heldAfter)) {
            try await take(1, from: room, cursor)
        }
        await store.close()
    }

    /// A reader can ask for messages after one that is still being written. It does not get that one again.
    @Test func aReaderGetsNothingBeforeItsPosition() async throws {
        let store = try store()
        let room = try room(store)
        let reserved = room.reserve(2)
        let cursor = try room.cursor(after: reserved[0])
        let follower = try room.cursor()
        #expect(follower.position < reserved[0])
        #expect(try room.next(cursor) == nil)
        room.publish(reserved.map { Message(author: "a", text: "", sendTime: $0) })
        #expect(try await take(1, from: room, cursor).map(\.sendTime) == [reserved[1]])
        #expect(try await take(2, from: room, follower).map(\.sendTime) == reserved)
        await store.close()
    }

    /// A second power cut must not find what the first one left.
    @Test func aStartEmptiesTheWriteAheadLog() async throws {
        let first = try store()
        _ = try await send(["one", "two"], to: try room(first), first)
        // What a killed process leaves.
        let copy = TemporaryFolder()
        for file in ["history.db", "history.db-wal"] {
            try FileManager.default.copyItem(atPath: folder.path(of: file), toPath: copy.path(of: file))
        }
        await first.close()
        #expect(copy.size(of: "history.db-wal") > 0)
        let path = copy.path(of: "history.db")
        let second = try SQLiteStore(
            path: path,
            sync: .full,
            retention: RetentionPolicy(),
            logger: Logger(label: "test")
        )
        #expect(copy.size(of: "history.db-wal") == 0)
        let page = try await second.read(after: second.heldAfter, limit: .init(messages: 9, bytes: .max))
        #expect(page.messages.map(\.text) == ["one", "two"])
        await second.close()
    }

    @Test func aFileHasOneServer() async throws {
        let store = try store()
        try expectRefusal(.unavailable, "in use by another server")
        await store.close()
    }

    @Test func aLaterFormatIsRefused() async throws {
        try await store().close()
        try Database(path: path).execute("PRAGMA user_version = 2")
        try expectRefusal(.badData, "from a later version")
        #expect(try Database(path: path).integer("SELECT count(*) FROM room") == 1)
    }

    @Test func anotherProgramsFileIsRefused() throws {
        try Database(path: path).execute("CREATE TABLE cats (name TEXT)")
        try expectRefusal(.badData, "a database of another program")
    }

    @Test func aMissingFolderIsRefused() {
        #expect(throws: StartError.self) {
            try SQLiteStore(
                path: "/nowhere/at/all",
                sync: .full,
                retention: RetentionPolicy(),
                logger: Logger(label: "test")
            )
        }
    }

    @Test func aClosedStoreRefusesMessages() async throws {
        let store = try store()
        let room = try room(store)
        await store.close()
        await #expect(throws: RoomError.closed) { try await room.append(author: "a", text: "late", store: store) }
    }

    /// To find their beginning costs as much as to read them.
    @Test func theLastMessagesInStorageAreLimited() async throws {
        let now = SendTime.now().nanosecondsSinceEpoch
        let times = (0..<10_020).map { SendTime(nanosecondsSinceEpoch: now + $0) }
        let file = try SQLiteFile(path: path)
        var writer = try SQLiteWriter(try file.open(sync: .normal, start: .now()), retention: RetentionPolicy())
        try writer.append(times.map { (NewMessage(author: "a", text: ""), $0) }, now: .now())
        file.release()
        let store = try store()
        let room = try room(store)
        #expect(try await room.cursor(last: 10_010, store: store).position == times[19])
        #expect(try await room.cursor(last: 100, store: store).position == times[9919])
        await store.close()
    }

    private func expectRefusal(_ code: StartError.Code, _ words: String) throws {
        let error = #expect(throws: StartError.self) { _ = try store() }
        #expect(error?.code == code)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
}
