import CSQLite

/// A row of a result; columns are counted from 0. Cannot be copied, so it does not outlive the call that lends it.
public struct Row: ~Copyable {
    let handle: OpaquePointer

    /// Whether the column is NULL.
    public func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// The column as a number; 0 where it is none.
    public func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// The column as a text, with every U+0000 that is in it; empty where it is NULL.
    public func text(_ column: Int32) -> String {
        // In this order: the first may convert the value, the second says how long the result is.
        let bytes = sqlite3_column_text(handle, column)
        let count = Int(sqlite3_column_bytes(handle, column))
        return String(decoding: UnsafeBufferPointer(start: bytes, count: bytes == nil ? 0 : count), as: UTF8.self)
    }
}
