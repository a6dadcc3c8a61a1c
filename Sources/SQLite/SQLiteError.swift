import CSQLite

/// What SQLite says went wrong.
public struct SQLiteError: Error, CustomStringConvertible {
    /// One of SQLite's primary result codes.
    private let code: Int32
    /// SQLite's words for it.
    public let description: String

    /// The disk has no room left.
    public var isFull: Bool { code == SQLITE_FULL }
    /// The file is not one of SQLite's, or not whole.
    public var meansDamage: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }

    /// - Parameter handle: The connection that it happened on, which has words of its own for it.
    init(_ code: Int32, _ handle: OpaquePointer?) {
        self.code = code & 0xFF
        description = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
    }
}
