import Messenger
import SQLite

/// Reads messages from a file of SQLite's, while its writer goes on.
struct SQLiteReader {
    private let database: Database
    private let begin, held, messages, end: Statement

    init(_ database: Database) throws(SQLiteError) {
        self.database = database
        begin = try Statement("BEGIN", on: database)
        held = try Statement("SELECT held_after FROM room", on: database)
        messages = try Statement(
            "SELECT time, author, text FROM message WHERE time > ?1 ORDER BY time LIMIT ?2",
            on: database
        )
        end = try Statement("COMMIT", on: database)
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
            if database.isInTransaction { try? end.run() }
            throw error
        }
    }
}
