import CSQLite

/// A connection to a file of SQLite's.
///
/// Used by one thread at a time, and so are its statements, which keep it open. Neither is `Sendable`, so the compiler
/// sees to it, and SQLite takes no locks of its own.
public final class Database {
    let handle: OpaquePointer
    private let interrupt: Interrupt?
    /// Where SQLite's hook leaves its count: freed when the connection is closed.
    private let frames: UnsafeMutablePointer<Int32>

    /// Opens a file for reading and writing, and makes it if it is not there.
    /// - Parameter interrupt: Bounds how long this connection waits for locks; without one it does not wait.
    public init(path: String, interrupt: Interrupt? = nil) throws(SQLiteError) {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            defer { sqlite3_close_v2(handle) }
            throw SQLiteError(code, handle)
        }
        self.handle = handle
        self.interrupt = interrupt
        frames = .allocate(capacity: 1)
        frames.initialize(to: 0)
        interrupt?.add(handle)
    }

    deinit {
        interrupt?.remove(handle)
        sqlite3_close_v2(handle)
        frames.deallocate()
    }

    /// Whether the file was opened for reading only, because it cannot be written.
    public var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// Whether a transaction is open.
    public var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs statements that give no rows, or whose rows do not matter.
    public func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, handle) }
    }

    /// From now on this connection does not move what is in the write-ahead log by itself, but counts what is there.
    public func countWriteAheadLog() {
        sqlite3_wal_hook(
            handle,
            { frames, _, _, count in
                frames?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            },
            frames
        )
    }

    /// How many frames, pages with a header, the write-ahead log had after this connection's last commit.
    public var writeAheadLogFrames: Int { Int(frames.pointee) }

    /// Moves what is in the write-ahead log into the file. Waits for nobody: what another connection reads stays.
    /// - Parameter truncating: Whether the log is emptied too, which needs that nobody reads or writes.
    /// - Returns: How many frames have been moved of those that are there, and whether all was done.
    public func checkpoint(truncating: Bool = false) throws(SQLiteError) -> (moved: Int, isDone: Bool) {
        sqlite3_busy_handler(handle, nil, nil)
        defer { interrupt?.wait(handle) }
        var (frames, moved): (Int32, Int32) = (0, 0)
        let mode = truncating ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
        let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, &frames, &moved)
        guard code == SQLITE_OK || code == SQLITE_BUSY else { throw SQLiteError(code, handle) }
        return (Int(max(0, moved)), code == SQLITE_OK && moved == frames)
    }

    /// The first column of the first row; `nil` if there is none or it is NULL.
    public func number(_ sql: String) throws(SQLiteError) -> Int64? {
        var number: Int64?
        try Statement(sql, on: self).forEachRow { number = number ?? ($0.isNull(0) ? nil : $0.integer(0)) }
        return number
    }

    /// The first column of the first row; `nil` if there is none.
    public func text(_ sql: String) throws(SQLiteError) -> String? {
        var text: String?
        try Statement(sql, on: self).forEachRow { text = text ?? $0.text(0) }
        return text
    }
}
