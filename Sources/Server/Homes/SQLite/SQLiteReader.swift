import Messenger

/// Reads messages from a file of SQLite's, while its writer goes on. Used by one thread at a time.
///
/// `@unchecked`: the one thread of its home's reading worker calls it.
final class SQLiteReader: @unchecked Sendable {
    private let connection: SQLiteConnection
    private let begin, held, messages, end: SQLiteStatement

    init(_ connection: SQLiteConnection) throws(SQLiteError) {
        self.connection = connection
        begin = try SQLiteStatement("BEGIN", on: connection)
        held = try SQLiteStatement("SELECT held_after FROM room", on: connection)
        messages = try SQLiteStatement(
            "SELECT time, author, text FROM message WHERE time > ?1 ORDER BY time LIMIT ?2",
            on: connection
        )
        end = try SQLiteStatement("COMMIT", on: connection)
    }

    /// The first messages after a time, and from when on there are any, both as of one moment.
    func read(after time: SendTime, atMost count: Int) throws(SQLiteError) -> (heldAfter: SendTime, [Message]) {
        do {
            try begin.run()
            var heldAfter = SendTime(nanosecondsSinceEpoch: .max)
            try held.forEachRow { heldAfter = SendTime(nanosecondsSinceEpoch: $0.integer(0)) }
            var found: [Message] = []
            try messages.bind(time.nanosecondsSinceEpoch, at: 1)
            try messages.bind(Int64(count), at: 2)
            try messages.forEachRow { row in
                found.append(
                    Message(
                        author: row.text(1),
                        text: row.text(2),
                        sendTime: SendTime(nanosecondsSinceEpoch: row.integer(0))
                    )
                )
            }
            try end.run()
            return (heldAfter, found)
        } catch {
            if connection.isInTransaction { try? end.run() }
            throw error
        }
    }
}
