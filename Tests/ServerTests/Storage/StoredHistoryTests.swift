import Glibc
import Logging
import Messenger
import SQLite
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct StoredHistoryTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path(of: "history.db") }

    /// Creates a history, and opens it as `--backup` does.
    private func history(_ interrupt: Interrupt = Interrupt(busyTimeout: 0)) async throws -> StoredHistory {
        let store = try SQLiteStore(
            path: path,
            sync: .normal,
            retention: RetentionPolicy(),
            logger: Logger(label: "test")
        )
        await store.close()
        return try StoredHistory(DatabasePath(setting: path), sync: .normal, interrupt: interrupt)
    }

    @Test func aSignalStopsABackupAndNothingIsLeft() async throws {
        let interrupt = Interrupt(busyTimeout: 0)
        let history = try await history(interrupt)
        interrupt.trigger()
        let target = try DatabasePath(setting: folder.path(of: "backup.db"))
        #expect(throws: StoredHistory.stopped) { try history.backUp(to: target) }
        #expect(throws: StoredHistory.stopped) { try history.check() }
        var pattern = glob_t()
        defer { globfree(&pattern) }
        #expect(glob(folder.path(of: "backup*"), 0, nil, &pattern) == GLOB_NOMATCH)
    }

    /// As a server does that starts meanwhile.
    @Test func aFileThatChangesMeanwhileIsNotTrusted() async throws {
        let history = try await history()
        try Database(path: path).execute("PRAGMA user_version = 1; UPDATE room SET held_after = 7")
        let error = try #require(throws: StartError.self) { try history.check() }
        #expect(error.code == .unavailable)
        #expect(error.message.contains("Try again"))
    }
}
