import Messenger
import SQLite
import Testing

@testable import Server

/// Removal of old messages, with a clock that the tests set.
@Suite(.timeLimit(.minutes(5)))
struct SQLiteWriterTests {
    private let folder = TemporaryFolder()

    private func open(_ retention: RetentionPolicy) throws -> (SQLiteWriter, SQLiteFile) {
        let file = try SQLiteFile(path: folder.path(of: "history.db"))
        return (try SQLiteWriter(try file.open(sync: .normal, start: time(0)), retention: retention), file)
    }

    private func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    private func messages(
        _ seconds: ClosedRange<Int64>,
        bytes: Int = 0
    ) -> [(message: NewMessage, sendTime: SendTime)] {
        seconds.map { (NewMessage(author: "", text: String(repeating: "x", count: bytes)), time($0)) }
    }

    /// What a second connection sees.
    private func stored() throws -> (count: Int64?, first: Int64?) {
        let database = try Database(path: folder.path(of: "history.db"))
        let first = try database.integer("SELECT min(time) FROM message")
        return (try database.integer("SELECT count(*) FROM message"), first.map { $0 / 1_000_000_000 })
    }

    /// It writes to the disk, so a full disk shows.
    @Test func tryingToWriteChangesNothing() throws {
        var (writer, file) = try open(RetentionPolicy())
        try writer.append(messages(1...2), now: time(2))
        let logSize = file.writeAheadLogSize
        try writer.tryWriting(at: time(3))
        #expect(file.writeAheadLogSize > logSize)
        #expect(try stored() == (2, 1))
        try writer.append(messages(3...3), now: time(3))
        #expect(try stored() == (3, 1))
        file.release()
    }

    /// Each append removes exactly the messages that have become too old since the last one.
    @Test func oldMessagesAreRemovedOneByOne() throws {
        var (writer, file) = try open(RetentionPolicy(maxAge: .seconds(10)))
        try writer.append(messages(1...20), now: time(5))
        #expect(try stored() == (20, 1))
        for now: Int64 in 12...29 {
            try writer.append([], now: time(now))
            #expect(try stored() == (20 - (now - 11), now - 10))
            #expect(writer.heldAfter == time(now - 11))
        }
        // The newest message is kept, whatever its age.
        try writer.append([], now: time(100))
        #expect(try stored() == (1, 20))
        try writer.append(messages(101...101), now: time(101))
        #expect(try stored() == (1, 101))
        file.release()
    }

    /// After a kill, its frames would look like damage to ``WriteAheadLog``.
    @Test func aFailedTransactionLeavesNoFrames() throws {
        var (writer, file) = try open(RetentionPolicy())
        try writer.append(messages(1...3), now: time(3))
        #expect(folder.size(of: "history.db-wal") > 0)
        // That time is taken.
        #expect(throws: SQLiteError.self) { try writer.append(messages(3...3), now: time(3)) }
        try writer.append(messages(4...4), now: time(4))
        #expect(folder.size(of: "history.db-wal") == 0)
        #expect(try stored() == (4, 1))
        file.release()
    }

    /// One transaction removes a limited number of messages. The next ones remove the rest.
    @Test func manyOldMessagesAreRemovedInBatches() throws {
        var (writer, file) = try open(RetentionPolicy(maxAge: .seconds(10)))
        try writer.append(messages(1...10_000), now: time(5))
        var batches = 0
        while try stored().count != 1 {
            try writer.append([], now: time(20_000))
            batches += 1
        }
        #expect(batches == 3)
        #expect(writer.heldAfter == time(9_999))
        file.release()
    }

    /// Removal goes down to an eighth below the limit. A restart counts the bytes again.
    @Test func messagesOverTheByteLimitAreRemoved() throws {
        let each = 1000 + RetentionPolicy.overhead
        let retention = RetentionPolicy(maxBytes: 80 * each)
        var (writer, file) = try open(retention)
        try writer.append(messages(1...80, bytes: 1000), now: time(80))
        #expect(try stored() == (80, 1))
        try writer.append(messages(81...81, bytes: 1000), now: time(81))
        #expect(try stored() == (70, 12))
        file.release()
        (writer, file) = try open(retention)
        try writer.append(messages(82...91, bytes: 1000), now: time(91))
        #expect(try stored() == (80, 12))
        try writer.append(messages(92...92, bytes: 1000), now: time(92))
        #expect(try stored() == (70, 23))
        #expect(writer.heldAfter == time(22))
        file.release()
    }
}
