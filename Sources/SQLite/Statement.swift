import CSQLite

/// A prepared statement. Used by the thread of its database, which it keeps open.
public final class Statement {
    private let database: Database
    private let handle: OpaquePointer

    /// Prepares the first statement in `sql`.
    public init(_ sql: String, on database: Database) throws(SQLiteError) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(database.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw SQLiteError(code, database.handle) }
        self.database = database
        self.handle = handle
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Sets a parameter. The first one has index 1.
    public func bind(_ integer: Int64, at index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, integer))
    }

    /// Sets a parameter. The first one has index 1. The text may contain U+0000.
    public func bind(_ text: String, at index: Int32) throws(SQLiteError) {
        var text = text
        // SQLITE_TRANSIENT, a cast in C: SQLite copies the text during the call.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                // A null pointer would be NULL, not an empty text.
                guard let first = characters.baseAddress else {
                    return sqlite3_bind_text(handle, index, "", 0, transient)
                }
                return sqlite3_bind_text(handle, index, first, Int32(bytes.count), transient)
            }
        }
        try check(code)
    }

    /// Runs the statement and ignores its rows.
    public func run() throws(SQLiteError) {
        try forEachRow { _ in }
    }

    /// Runs the statement. `body` must not use the statement.
    public func forEachRow(_ body: (borrowing Row) -> Void) throws(SQLiteError) {
        try readRows(while: { row in
            body(row)
            return true
        })
    }

    /// Runs the statement until `body` returns `false`. `body` must not use the statement.
    public func readRows(while body: (borrowing Row) -> Bool) throws(SQLiteError) {
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW:
                if body(Row(handle: handle)) { continue }
                sqlite3_reset(handle)
                return
            case SQLITE_DONE:
                sqlite3_reset(handle)
                return
            case let code:
                let error = SQLiteError(code, database.handle)
                sqlite3_reset(handle)
                throw error
            }
        }
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw SQLiteError(code, database.handle) }
    }
}

/// A row of a result. The first column has index 0. Cannot be copied, so it does not outlive the closure that gets it.
public struct Row: ~Copyable {
    let handle: OpaquePointer

    /// Whether the column is NULL.
    public func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// The column as an integer; 0 if it is NULL.
    public func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// The column as text, which may contain U+0000; empty if it is NULL.
    public func text(_ column: Int32) -> String {
        // In this order: the first call may convert the value, the second one returns the length of the result.
        let bytes = sqlite3_column_text(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: bytes == nil ? 0 : count), as: UTF8.self)
    }
}
