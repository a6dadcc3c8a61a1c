import Messenger
import SQLite
import Testing

@testable import Server

/// What is removed with each batch that is added, to times that a test chooses.
@Suite(.timeLimit(.minutes(1)))
struct SQLiteLogTests {
    private let folder = TemporaryFolder()

    private func open(_ retention: Retention) throws -> (SQLiteLog, SQLiteFile) {
        let file = try SQLiteFile(path: folder.path(of: "history.db"))
        return (try SQLiteLog(try file.connect(sync: .normal, start: time(0)), retention: retention), file)
    }

    private func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    private func messages(_ seconds: ClosedRange<Int64>, bytes: Int = 0) -> [Message] {
        seconds.map { Message(author: "", text: String(repeating: "x", count: bytes), sendTime: time($0)) }
    }

    /// As a second connection sees it.
    private func kept() throws -> (count: Int64?, first: Int64?) {
        let database = try Database(path: folder.path(of: "history.db"))
        let first = try database.number("SELECT min(time) FROM message")
        return (try database.number("SELECT count(*) FROM message"), first.map { $0 / 1_000_000_000 })
    }

    /// The look at the oldest stops at the first that stays; the next one goes on from there.
    @Test func byAgeAFewAtATime() throws {
        var (log, file) = try open(Retention(age: .seconds(10)))
        try log.append(messages(1...20), now: time(5))
        #expect(try kept() == (20, 1))
        for now: Int64 in 12...29 {
            try log.append([], now: time(now))
            #expect(try kept() == (20 - (now - 11), now - 10))
            #expect(log.heldAfter == time(now - 11))
        }
        // The newest stays, whatever its age.
        try log.append([], now: time(100))
        #expect(try kept() == (1, 20))
        try log.append(messages(101...101), now: time(101))
        #expect(try kept() == (1, 101))
        file.release()
    }

    /// What stays of one that failed would be taken for damage after a kill, by ``WriteAheadLog``.
    @Test func nothingOfATransactionThatFailedStays() throws {
        var (log, file) = try open(Retention())
        try log.append(messages(1...3), now: time(3))
        #expect(folder.size(of: "history.db-wal") > 0)
        // There is one with that time.
        #expect(throws: SQLiteError.self) { try log.append(messages(3...3), now: time(3)) }
        try log.append(messages(4...4), now: time(4))
        #expect(folder.size(of: "history.db-wal") == 0)
        #expect(try kept() == (4, 1))
        file.release()
    }

    /// More at once than are looked at together: the rest goes with the next batches.
    @Test func byAgeManyAtOnce() throws {
        var (log, file) = try open(Retention(age: .seconds(10)))
        try log.append(messages(1...10_000), now: time(5))
        var batches = 0
        while try kept().count != 1 {
            try log.append([], now: time(20_000))
            batches += 1
        }
        #expect(batches == 3)
        #expect(log.heldAfter == time(9_999))
        file.release()
    }

    /// Down to an eighth below the limit, and by what is left of it after a restart too.
    @Test func byBytes() throws {
        let each = 1000 + Retention.overhead
        let retention = Retention(bytes: 80 * each)
        var (log, file) = try open(retention)
        try log.append(messages(1...80, bytes: 1000), now: time(80))
        #expect(try kept() == (80, 1))
        try log.append(messages(81...81, bytes: 1000), now: time(81))
        #expect(try kept() == (70, 12))
        file.release()
        (log, file) = try open(retention)
        try log.append(messages(82...91, bytes: 1000), now: time(91))
        #expect(try kept() == (80, 12))
        try log.append(messages(92...92, bytes: 1000), now: time(92))
        #expect(try kept() == (70, 23))
        #expect(log.heldAfter == time(22))
        file.release()
    }
}
