import Foundation
import SQLite
import Testing

@testable import Server

/// Logs that SQLite has written, with damage.
@Suite struct WriteAheadLogTests {
    private let folder = TemporaryFolder()
    private let database: Database
    private var path: String { folder.path(of: "history.db-wal") }

    init() throws {
        database = try Database(path: folder.path(of: "history.db"))
        try database.execute("PRAGMA journal_mode = WAL; CREATE TABLE word (text TEXT NOT NULL)")
    }

    private func commit(_ count: Int) throws {
        for _ in 0..<count { try database.execute("INSERT INTO word VALUES (hex(randomblob(1000)))") }
    }

    private func damage(isSynced: Bool = true) -> String? {
        WriteAheadLog.damage(in: path, isSynced: isSynced, isStopped: { false })
    }

    /// Changes one byte, counted from the end if the offset is negative.
    private func flip(at offset: Int) throws {
        var log = try Data(contentsOf: URL(filePath: path))
        log[offset < 0 ? log.count + offset : offset] ^= 1
        try log.write(to: URL(filePath: path))
    }

    @Test func anIntactLogHasNoDamage() throws {
        try commit(10)
        #expect(damage() == nil)
        #expect(WriteAheadLog.damage(in: folder.path(of: "none"), isSynced: true, isStopped: { false }) == nil)
    }

    @Test func commitsAfterAChangedByteAreLost() throws {
        let start = folder.size(of: "history.db-wal")
        try commit(10)
        try flip(at: start + 100)
        #expect(damage()?.hasPrefix("10 commits ") == true)
        #expect(damage(isSynced: false) == nil)
    }

    /// It may have been in progress when the process ended.
    @Test func theLastCommitMayBeUnreadable() throws {
        try commit(10)
        try flip(at: -1)
        #expect(damage() == nil)
    }

    @Test(arguments: [0, 8, 16, 24]) func aChangedHeaderIsDamage(offset: Int) throws {
        try commit(10)
        try flip(at: offset)
        #expect(damage()?.contains("header") == true)
    }

    /// SQLite has overwritten the beginning. The frames behind that are in the database already.
    @Test func oldFramesAreNotDamage() throws {
        try commit(10)
        let size = folder.size(of: "history.db-wal")
        #expect(try database.checkpoint().isComplete)
        try commit(3)
        #expect(folder.size(of: "history.db-wal") == size)
        #expect(damage() == nil)
    }
}
