import CSQLite

// SQLite for Swift, as much of it as a history needs. No pointer leaves this file.

/// What SQLite says went wrong.
struct SQLiteError: Error, CustomStringConvertible {
    /// One of SQLite's primary result codes.
    let code: Int32
    let description: String

    var isFull: Bool { code == SQLITE_FULL }
    /// The file is not one of SQLite's, or not whole.
    var meansDamage: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
}

/// A connection to a file.
///
/// `@unchecked`: SQLite is opened to be used by several threads, but a statement's rows and bindings are one caller's
/// matter, so each connection is used by one thread at a time.
final class SQLiteConnection: @unchecked Sendable {
    fileprivate let handle: OpaquePointer

    /// Opens a file for reading and writing, and makes it if it is not there.
    init(path: String) throws(SQLiteError) {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            defer { sqlite3_close_v2(handle) }
            throw SQLiteError(code, handle)
        }
        self.handle = handle
    }

    deinit {
        // Statements that are still there keep it open until they go.
        sqlite3_close_v2(handle)
    }

    /// Whether the file was opened for reading only, because it cannot be written.
    var isReadOnly: Bool { sqlite3_db_readonly(handle, "main") == 1 }

    /// Whether a transaction is open.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Runs statements that give no rows, or whose rows do not matter.
    func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw SQLiteError(code, handle) }
    }

    /// The first column of the first row; `nil` if there is none or it is NULL.
    func number(_ sql: String) throws(SQLiteError) -> Int64? {
        var number: Int64?
        try SQLiteStatement(sql, on: self).forEachRow { number = number ?? ($0.isNull(0) ? nil : $0.integer(0)) }
        return number
    }

    /// The first column of the first row; `nil` if there is none.
    func text(_ sql: String) throws(SQLiteError) -> String? {
        var text: String?
        try SQLiteStatement(sql, on: self).forEachRow { text = text ?? $0.text(0) }
        return text
    }
}

/// A statement that has been prepared, to be run any number of times.
/// `@unchecked`: see ``SQLiteConnection``, which it keeps alive.
final class SQLiteStatement: @unchecked Sendable {
    private let connection: SQLiteConnection
    private let handle: OpaquePointer

    init(_ sql: String, on connection: SQLiteConnection) throws(SQLiteError) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw SQLiteError(code, connection.handle) }
        self.connection = connection
        self.handle = handle
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Sets a parameter, counted from 1.
    func bind(_ number: Int64, at index: Int32) throws(SQLiteError) {
        try check(sqlite3_bind_int64(handle, index, number))
    }

    /// Sets a parameter, counted from 1. A U+0000 in the text is kept like any other character.
    func bind(_ text: String, at index: Int32) throws(SQLiteError) {
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
    func run() throws(SQLiteError) {
        try forEachRow { _ in }
    }

    /// Runs the statement. A row is good during the call that lends it.
    func forEachRow(_ body: (borrowing SQLiteRow) -> Void) throws(SQLiteError) {
        while true {
            switch sqlite3_step(handle) {
            case SQLITE_ROW:
                body(SQLiteRow(handle: handle))
            case SQLITE_DONE:
                sqlite3_reset(handle)
                return
            case let code:
                let error = SQLiteError(code, connection.handle)
                sqlite3_reset(handle)
                throw error
            }
        }
    }

    private func check(_ code: Int32) throws(SQLiteError) {
        guard code == SQLITE_OK else { throw SQLiteError(code, connection.handle) }
    }
}

/// A row of a result; columns are counted from 0.
struct SQLiteRow: ~Copyable {
    fileprivate let handle: OpaquePointer

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func text(_ column: Int32) -> String {
        // In this order: the first may convert the value, the second says how long the result is.
        let bytes = sqlite3_column_text(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: bytes == nil ? 0 : count), as: UTF8.self)
    }
}

extension SQLiteError {
    fileprivate init(_ code: Int32, _ handle: OpaquePointer?) {
        self.init(
            code: code & 0xFF,
            description: handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
        )
    }
}
