import Glibc
import SQLite
import Testing

@Suite(.timeLimit(.minutes(5)))
struct CopyTests {
    private let path = "/tmp/messenger-test-\(UInt64.random(in: 0 ... .max)).db"

    private func remove() {
        for suffix in ["", "-wal", "-shm", ".copy"] { unlink(path + suffix) }
    }

    /// A writer commits between all steps. It never waits, and the copy does not start again.
    @Test func aWriterDoesNotHinderACopy() throws {
        defer { remove() }
        let writer = try Database(path: path)
        try writer.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE blob (data BLOB)")
        for _ in 0..<12 { try writer.execute("INSERT INTO blob VALUES (zeroblob(1 << 20))") }
        let target = try Database(path: path + ".copy")
        var steps = 0
        let isDone = try Database(path: path, access: .readOnly).copy(to: target) {
            steps += 1
            do {
                try writer.execute("INSERT INTO blob VALUES (zeroblob(1 << 20))")
            } catch {
                Issue.record(error)
            }
            return false
        }
        #expect(isDone)
        #expect((4...5).contains(steps))
        #expect(try target.integer("SELECT count(*) FROM blob") == 12)
        #expect(try target.text("PRAGMA integrity_check") == "ok")
        #expect(try writer.integer("SELECT count(*) FROM blob") == Int64(12 + steps))
    }

    @Test func aCopyCanBeStopped() throws {
        defer { remove() }
        let source = try Database(path: path)
        try source.execute("CREATE TABLE blob (data BLOB); INSERT INTO blob VALUES (zeroblob(12 << 20))")
        var steps = 0
        let isDone = try source.copy(to: try Database(path: path + ".copy")) {
            steps += 1
            return steps == 2
        }
        #expect(!isDone)
        #expect(!source.isInTransaction)
    }

    /// The log is read, but not its index, and nothing is written.
    @Test func anOfflineDatabaseIsReadWithItsLog() throws {
        defer { remove() }
        let writer = try Database(path: path)
        try writer.execute("PRAGMA journal_mode = WAL; CREATE TABLE word (text TEXT); INSERT INTO word VALUES ('log')")
        unlink(path + "-shm")
        let reader = try Database(path: path, access: .offline(hasLog: true))
        #expect(try reader.text("SELECT text FROM word") == "log")
        #expect(throws: SQLiteError.self) { try reader.execute("DELETE FROM word") }
        #expect(access(path + "-shm", F_OK) != 0)
    }
}
