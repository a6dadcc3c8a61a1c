import Glibc
import Messenger
import SQLite

/// The file of a history that this process only reads, whether a server uses it or not.
///
/// It changes nothing: no message, no lock, and no file beside it.
struct StoredHistory {
    /// What a sound history holds.
    struct Content: CustomStringConvertible {
        var messages = 0
        var keys = 0
        var oldest: SendTime?
        var newest: SendTime?
        var bytes = 0

        var description: String {
            let times = if let oldest, let newest { ", oldest \(oldest), newest \(newest)" } else { "" }
            return "messages \(messages)\(times), keys \(keys), bytes \(bytes)"
        }
    }

    let path: DatabasePath
    let interrupt: Interrupt
    private let database: Database
    /// Whether a server uses the file.
    private let isInUse: Bool
    /// The files before they were opened. Without a server, a change during the work is somebody else's.
    private let versions: [FileVersion?]

    /// - Parameter sync: What the server syncs: with `full`, no commit in its log may be unreadable.
    init(_ path: DatabasePath, sync: SQLiteFile.Sync, interrupt: Interrupt) throws(StartError) {
        self.path = path
        self.interrupt = interrupt
        // A write beyond the size limit for files would kill the process. Now it fails instead.
        signal(SIGXFSZ, SIG_IGN)
        guard let status = FileStatus(path.file) else { throw path.cannotOpen(String(cString: strerror(errno))) }
        guard !status.isFolder else { throw path.cannotOpen("it is a folder. Choose a file in it") }
        guard status.isRegular else { throw path.cannotOpen("it is not a regular file") }
        // Closed before SQLite opens the file: closing it later would release SQLite's locks.
        let file = open(path.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw path.cannotOpen(String(cString: strerror(errno))) }
        isInUse = FileLock.isLocked(file)
        close(file)
        versions = Self.versions(path)
        let hasLog = (versions[1]?.size ?? 0) > 0
        guard (versions[0]?.size ?? 0) > 0 else {
            throw Self.damaged(path, hasLog ? "the file is empty, but its write-ahead log is not" : "the file is empty")
        }
        if !isInUse,
            let damage = WriteAheadLog.damage(
                in: path.writeAheadLog,
                isSynced: sync == .full,
                isStopped: { interrupt.isTriggered }
            )
        {
            throw Self.damaged(path, damage)
        }
        do {
            database = try Database(
                path: path.file,
                access: isInUse ? .readOnly : .offline(hasLog: hasLog),
                interrupt: interrupt
            )
        } catch {
            throw Self.startError(error, path, interrupt)
        }
    }

    /// Reads everything, and returns what there is.
    func check() throws(StartError) -> Content {
        do {
            let content = try readContent()
            try checkUnchanged()
            return content
        } catch {
            try checkUnchanged()
            throw Self.startError(error, path, interrupt)
        }
    }

    /// Copies everything to a new file, and checks the copy. If that fails, there is no new file.
    func backUp(to target: DatabasePath) throws(StartError) -> Content {
        do {
            guard try !SQLiteFile.isEmpty(database, at: path) else { throw Self.damaged(path, "it has no tables") }
        } catch {
            throw Self.startError(error, path, interrupt)
        }
        guard !path.auxiliaryFiles.contains(target.file) else {
            throw StartError(
                .unavailable,
                "The file \(target.file) belongs to the history. A backup needs another name"
            )
        }
        let copy = try HistoryCopy(target)
        defer { copy.deleteIfUnfinished() }
        try copy.fill(from: database, interrupt)
        try checkUnchanged()
        let content: Content
        do throws(StartError) {
            content = try StoredHistory(try copy.path(), sync: .full, interrupt: interrupt).check()
        } catch {
            guard error.code == .badData else { throw error }
            throw Self.damaged(path, "its copy failed the check: \(error.message)")
        }
        try copy.finish()
        return content
    }

    private func readContent() throws -> Content {
        guard try !SQLiteFile.isEmpty(database, at: path) else { throw Self.damaged(path, "it has no tables") }
        // All of the following is about one moment, although a server may write.
        try database.execute("BEGIN")
        defer { try? database.execute("COMMIT") }
        // Among others, that rows are in the order of their times, and that the index of keys is complete.
        let result = try database.text("PRAGMA integrity_check(1)") ?? "nothing can be read"
        try checkNotStopped()
        guard result == "ok" else { throw Self.damaged(path, result) }

        var content = Content()
        var rooms: [Int64] = []
        try Statement("SELECT held_after FROM room", on: database).forEachRow { rooms.append($0.integer(0)) }
        guard let heldAfter = rooms.first, rooms.count == 1 else {
            throw Self.damaged(path, "it does not say since when it holds messages")
        }
        try Statement("SELECT count(*), min(time), max(time), count(author), count(text) FROM message", on: database)
            .forEachRow { row in
                content.messages = Int(row.integer(0))
                guard content.messages > 0 else { return }
                content.oldest = SendTime(nanosecondsSinceEpoch: row.integer(1))
                content.newest = SendTime(nanosecondsSinceEpoch: row.integer(2))
            }
        if let oldest = content.oldest, oldest.nanosecondsSinceEpoch <= heldAfter {
            throw Self.damaged(path, "its oldest message is of \(oldest), but it holds only later ones")
        }
        if let newest = content.newest, newest > .maxHistoryEnd {
            throw Self.damaged(path, "it contains a message of \(newest), and no later times are possible")
        }
        content.keys = try checkKeys(heldAfter: heldAfter)
        content.bytes =
            Int(try database.integer("PRAGMA page_count") ?? 0)
            * Int(try database.integer("PRAGMA page_size") ?? 0)
        try checkNotStopped()
        return content
    }

    /// Returns how many keys there are. Earlier versions had none.
    private func checkKeys(heldAfter: Int64) throws -> Int {
        let name = "idempotency_key"
        guard try database.integer("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '\(name)'") == 1 else {
            return 0
        }
        var count = 0
        var invalid: SendTime?
        try Statement("SELECT time, key, fingerprint FROM \(name)", on: database).forEachRow { row in
            count += 1
            if IdempotencyKey(row.text(1)) == nil { invalid = SendTime(nanosecondsSinceEpoch: row.integer(0)) }
        }
        if let invalid { throw Self.damaged(path, "the key of the message of \(invalid) is invalid") }
        // The messages of older keys may have been removed.
        let orphan = try database.integer(
            "SELECT time FROM \(name) WHERE time > \(heldAfter) AND time NOT IN (SELECT time FROM message) LIMIT 1"
        )
        if let orphan {
            let time = SendTime(nanosecondsSinceEpoch: orphan)
            throw Self.damaged(path, "it has the key of a message of \(time), but not the message")
        }
        return count
    }

    /// Without a server, nothing keeps one from starting and writing meanwhile: then what was read counts for nothing.
    private func checkUnchanged() throws(StartError) {
        guard isInUse || Self.versions(path) == versions else {
            throw path.cannotOpen("another program has changed it meanwhile. Try again")
        }
    }

    private func checkNotStopped() throws(StartError) {
        guard !interrupt.isTriggered else { throw Self.stopped }
    }

    static let stopped = StartError(.unavailable, "Stopped by a signal")

    private static func versions(_ path: DatabasePath) -> [FileVersion?] {
        [FileVersion(path.file), FileVersion(path.writeAheadLog)]
    }

    private static func damaged(_ path: DatabasePath, _ detail: String) -> StartError {
        StartError(.badData, "The history in \(path.file) is damaged: \(detail)")
    }

    private static func startError(_ error: any Error, _ path: DatabasePath, _ interrupt: Interrupt) -> StartError {
        if interrupt.isTriggered { return stopped }
        switch error {
        case let error as StartError: return error
        case let error as SQLiteError where error.isNotADatabase: return damaged(path, "it is not an SQLite database")
        case let error as SQLiteError where error.isSystemError: return path.cannotOpen(error.description)
        // Such as a table or a column that is missing.
        default: return damaged(path, "\(error)")
        }
    }
}

/// What changes when somebody writes to a file.
private struct FileVersion: Equatable {
    let size: Int
    private let seconds, nanoseconds: Int

    /// `nil` if nothing is there.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        size = Int(status.st_size)
        (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }
}
