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
    func read(
        after time: SendTime,
        atMost most: HistoryPage.Size
    ) throws(SQLiteError) -> (heldAfter: SendTime, [Message]) {
        do {
            try begin.run()
            var heldAfter = SendTime(nanosecondsSinceEpoch: .max)
            try held.forEachRow { heldAfter = SendTime(nanosecondsSinceEpoch: $0.integer(0)) }
            var found: [Message] = []
            var room = most
            try messages.bind(time.nanosecondsSinceEpoch, at: 1)
            try messages.bind(Int64(most.messages), at: 2)
            try messages.readRows(while: { row in
                let sendTime = SendTime(nanosecondsSinceEpoch: row.integer(0))
                let message = Message(author: row.text(1), text: row.text(2), sendTime: sendTime)
                guard room.takes(message) else { return false }
                found.append(message)
                return true
            })
            try end.run()
            return (heldAfter, found)
        } catch {
            if database.isInTransaction { try? end.run() }
            throw error
        }
    }
}
