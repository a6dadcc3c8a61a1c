import CSQLite

/// A statement that has been prepared, to be run any number of times. Used by its database's thread.
public final class Statement {
    private let database: Database
    private let handle: OpaquePointer

    /// Prepares the first statement in `sql`, and keeps `database` open for it.
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

    /// Sets a parameter, counted from 1.
    public func bind(_ number: Int64, at index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, number))
    }

    /// Sets a parameter, counted from 1. A U+0000 in the text is kept like any other character.
    public func bind(_ text: String, at index: Int32) throws(SQLiteError) {
        var text = text
        // SQLITE_TRANSIENT, a cast in C: SQLite copies the text during the call.
        let copy = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { characters in
                // A null pointer would be NULL, not an empty text.
                guard let first = characters.baseAddress else { return sqlite3_bind_text(handle, index, "", 0, copy) }
                return sqlite3_bind_text(handle, index, first, Int32(bytes.count), copy)
            }
        }
        try check(code)
    }

    /// Runs the statement, whose rows do not matter.
    public func run() throws(SQLiteError) {
        try forEachRow { _ in }
    }

    /// Runs the statement. A row is good during the call that lends it, which must leave the statement alone.
    public func forEachRow(_ body: (borrowing Row) -> Void) throws(SQLiteError) {
        try readRows(while: { row in
            body(row)
            return true
        })
    }

    /// As ``forEachRow(_:)``, until `body` returns `false`: further rows are not read then.
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
