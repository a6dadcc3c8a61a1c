import CSQLite
import Glibc

/// A connection to an SQLite database.
///
/// One thread uses it at a time, together with its statements. Neither type is `Sendable`, so the compiler checks that,
/// and SQLite needs no mutexes of its own (`SQLITE_OPEN_NOMUTEX`).
public final class Database {
    let handle: OpaquePointer
    private let interrupt: Interrupt?
    /// The WAL hook writes its count here. Freed after the connection is closed.
    private let hookFrames: UnsafeMutablePointer<Int32>

    /// What a connection may do with its file.
    public enum Access: Sendable {
        /// Read and write it, and create it if it does not exist.
        case readWrite
        /// Read it while other connections may write. Its `-wal` and `-shm` must exist if it has such files.
        case readOnly
        /// Read a file that nobody writes, and change nothing beside it.
        /// - Parameter hasLog: Whether there is a write-ahead log, which is read too.
        case offline(hasLog: Bool)
    }

    /// Opens a file.
    /// - Parameters:
    ///   - path: An absolute path, unless the access is ``Access/readWrite``.
    ///   - interrupt: Sets the busy timeout. Without one, the connection does not wait for locks.
    public init(
        path: String,
        access: Access = .readWrite,
        interrupt: Interrupt? = nil
    ) throws(SQLiteError) {
        var handle: OpaquePointer?
        let reading = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
        let uri = "file:\(Self.percentEncoded(path))"
        let (name, flags, fileSystem): (String, Int32, String?) =
            switch access {
            case .readWrite: (path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
            case .readOnly: (uri, reading, nil)
            case .offline(hasLog: false): (uri + "?immutable=1", reading, nil)
            // SQLite ignores the log of an immutable file. Without locks, the log's index is in memory alone.
            case .offline(hasLog: true): (uri, reading, "unix-none")
            }
        let code = sqlite3_open_v2(name, &handle, flags | SQLITE_OPEN_NOMUTEX, fileSystem)
        guard code == SQLITE_OK, let handle else {
            defer { sqlite3_close_v2(handle) }
            throw SQLiteError(code, handle)
        }
        self.handle = handle
        self.interrupt = interrupt
        hookFrames = .allocate(capacity: 1)
        hookFrames.initialize(to: 0)
        interrupt?.add(handle)
        if case .offline = access { try execute("PRAGMA locking_mode = EXCLUSIVE") }
    }

    /// A path as a part of a URI.
    private static func percentEncoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { text, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                text += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
            }
        }
    }

    deinit {
        interrupt?.remove(handle)
        sqlite3_close_v2(handle)
        hookFrames.deallocate()
    }

    /// Whether SQLite opened the file for reading only, because it may not write it.
    public var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// Whether a transaction is open.
    public var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs statements and ignores their rows.
    public func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, handle) }
    }

    /// Stops SQLite's automatic checkpoints on this connection. From now on, ``walFrames`` counts.
    public func disableAutoCheckpoint() {
        // SQLite's own automatic checkpoint is a hook, which this one replaces.
        sqlite3_wal_hook(
            handle,
            { frames, _, _, count in
                frames?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            },
            hookFrames
        )
    }

    /// The length of the write-ahead log after this connection's last commit, in frames (one page and its header).
    public var walFrames: Int { Int(hookFrames.pointee) }

    /// Copies pages from the write-ahead log into the database. Does not wait for readers, and skips what they block.
    /// - Parameter truncating: Whether to empty the log too. That needs a moment without any reader or writer.
    /// - Returns: How many frames of the log are in the database now, and whether nothing was skipped.
    public func checkpoint(truncating: Bool = false) throws(SQLiteError) -> (frames: Int, isComplete: Bool) {
        sqlite3_busy_handler(handle, nil, nil)
        defer { interrupt?.installBusyHandler(on: handle) }
        var (logged, checkpointed): (Int32, Int32) = (0, 0)
        let mode = truncating ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
        let code = sqlite3_wal_checkpoint_v2(handle, nil, mode, &logged, &checkpointed)
        guard code == SQLITE_OK || code == SQLITE_BUSY else { throw SQLiteError(code, handle) }
        return (Int(max(0, checkpointed)), code == SQLITE_OK && checkpointed == logged)
    }

    /// Copies everything into another database, which must be empty.
    ///
    /// All of it is from one moment. In WAL mode, writers do not wait, and their commits do not make the copy start
    /// again. Meanwhile their write-ahead log grows.
    /// - Parameter isStopped: Called after every 4 MiB or less.
    /// - Returns: Whether the copy is complete, and was not stopped.
    public func copy(to target: Database, isStopped: () -> Bool) throws(SQLiteError) -> Bool {
        try execute("BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1")
        defer { try? execute("COMMIT") }
        guard let backup = sqlite3_backup_init(target.handle, "main", handle, "main") else {
            throw SQLiteError(sqlite3_errcode(target.handle), target.handle)
        }
        var code = SQLITE_OK
        while code == SQLITE_OK, !isStopped() { code = sqlite3_backup_step(backup, Self.pagesPerStep) }
        let result = sqlite3_backup_finish(backup)
        guard result == SQLITE_OK else { throw SQLiteError(result, target.handle) }
        return code == SQLITE_DONE
    }

    private static let pagesPerStep: Int32 = 1024

    /// The first column of the first row; `nil` if there is no row or the column is NULL.
    public func integer(_ sql: String) throws(SQLiteError) -> Int64? {
        var integer: Int64?
        try Statement(sql, on: self).forEachRow { integer = integer ?? ($0.isNull(0) ? nil : $0.integer(0)) }
        return integer
    }

    /// The first column of the first row; `nil` if there is no row.
    public func text(_ sql: String) throws(SQLiteError) -> String? {
        var text: String?
        try Statement(sql, on: self).forEachRow { text = text ?? $0.text(0) }
        return text
    }
}

/// An error code of SQLite's, with its message.
public struct SQLiteError: Error, CustomStringConvertible {
    /// A primary result code, without the extended part.
    private let code: Int32
    /// The `errno` that caused it, or 0.
    private let systemError: Int32
    /// SQLite's message.
    public let description: String

    /// The disk is full.
    public var isFull: Bool { code == SQLITE_FULL || [ENOSPC, EDQUOT].contains(systemError) }
    /// The system has refused to open, read or write a file.
    public var isSystemError: Bool { [SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN].contains(code) }
    /// The file has no SQLite header: it may belong to another program.
    public var isNotADatabase: Bool { code == SQLITE_NOTADB }
    /// The file is damaged, or not a database.
    public var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }

    /// - Parameter handle: The connection with the error. It has a more precise message than the code alone.
    init(_ code: Int32, _ handle: OpaquePointer?) {
        self.code = code & 0xFF
        let hasSystemError = [SQLITE_IOERR, SQLITE_CANTOPEN].contains(code & 0xFF)
        systemError = hasSystemError ? handle.map { sqlite3_system_errno($0) } ?? 0 : 0
        description = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
    }
}
