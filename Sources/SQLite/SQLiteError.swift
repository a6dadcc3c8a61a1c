import CSQLite
import Glibc

/// What SQLite says went wrong.
public struct SQLiteError: Error, CustomStringConvertible {
    /// One of SQLite's primary result codes.
    private let code: Int32
    /// The system's `errno` for it, or 0.
    private let systemError: Int32
    /// SQLite's words for it.
    public let description: String

    /// The disk has no room left.
    public var isFull: Bool { code == SQLITE_FULL || [ENOSPC, EDQUOT].contains(systemError) }
    /// The system has refused a read, a write or the opening of a file.
    public var isOfSystem: Bool { [SQLITE_FULL, SQLITE_IOERR, SQLITE_CANTOPEN].contains(code) }
    /// The file does not begin as SQLite's do: it may be another program's.
    public var meansForeign: Bool { code == SQLITE_NOTADB }
    /// The file is not one of SQLite's, or not whole.
    public var meansDamage: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }

    /// - Parameter handle: The connection that it happened on, which has words of its own for it.
    init(_ code: Int32, _ handle: OpaquePointer?) {
        self.code = code & 0xFF
        let isOfSystem = [SQLITE_IOERR, SQLITE_CANTOPEN].contains(code & 0xFF)
        systemError = isOfSystem ? handle.map { sqlite3_system_errno($0) } ?? 0 : 0
        description = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
    }
}
