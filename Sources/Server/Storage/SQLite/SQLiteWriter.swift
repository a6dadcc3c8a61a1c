import Messenger
import SQLite

/// Adds messages to a database, and removes old ones over the limits.
///
/// The key of a message is its `sendTime`, so the rows are in the readers' order and need no index. The one row of
/// `room` says after which time every message is held.
struct SQLiteWriter {
    private let database: Database
    private let retention: RetentionPolicy
    private let begin, insertMessage, selectOldest, delete, deleteOne, setHeldAfter, commit, rollback: Statement

    /// Runs long checkpoints on a thread of its own. Without one, this thread runs them.
    var checkpointer: Checkpointer?
    /// How many frames of the write-ahead log are known to be in the database.
    private var checkpointedFrames = 0
    /// A failed transaction may have left frames in the write-ahead log. Frames that are written over them would look
    /// damaged after a kill (``WriteAheadLog``).
    private var hasFramesToDiscard = false

    private var keys: SQLiteKeys
    private var usage = RetentionPolicy.Usage()
    /// The time of the oldest message, or an earlier one.
    private var oldest: SendTime
    /// Every message after this time is in the database.
    private(set) var heldAfter: SendTime
    /// The time of the newest message at the start, or of the database's creation.
    let latest: SendTime

    /// The most messages that one transaction removes, so that no sender waits long for it.
    private static let removedAtOnce: Int64 = 4096
    /// The write-ahead log is checkpointed from this length on.
    private static let checkpointFrames = 1000
    /// The most frames that this thread checkpoints between two messages: 8 MB, a few milliseconds.
    private static let checkpointFramesAtOnce = 2000

    /// - Parameter database: A connection to a file that ``SQLiteFile`` has created or checked.
    init(
        _ database: Database,
        retention: RetentionPolicy,
        keys: IdempotencyKeys.Limits = .init()
    ) throws(SQLiteError) {
        self.database = database
        self.retention = retention
        database.disableAutoCheckpoint()
        begin = try Statement("BEGIN IMMEDIATE", on: database)
        insertMessage = try Statement("INSERT INTO message (time, author, text) VALUES (?1, ?2, ?3)", on: database)
        selectOldest = try Statement("SELECT time, \(Self.size) FROM message ORDER BY time LIMIT ?1", on: database)
        delete = try Statement("DELETE FROM message WHERE time <= ?1", on: database)
        deleteOne = try Statement("DELETE FROM message WHERE time = ?1", on: database)
        setHeldAfter = try Statement("UPDATE room SET held_after = ?1", on: database)
        commit = try Statement("COMMIT", on: database)
        rollback = try Statement("ROLLBACK", on: database)

        let held = try database.integer("SELECT held_after FROM room") ?? 0
        heldAfter = SendTime(nanosecondsSinceEpoch: held)
        oldest = SendTime(nanosecondsSinceEpoch: try database.integer("SELECT min(time) FROM message") ?? held)
        latest = SendTime(nanosecondsSinceEpoch: try database.integer("SELECT max(time) FROM message") ?? held)
        self.keys = try SQLiteKeys(database, limits: keys, latest: latest)
        usage.messages = Int(try database.integer("SELECT count(*) FROM message") ?? 0)
        usage.bytes =
            Int(try database.integer("SELECT total(\(Self.size)) FROM message") ?? 0)
            + usage.messages * RetentionPolicy.overhead
    }

    /// In bytes. `length` of a text would count characters, and only up to a U+0000.
    private static let size = "length(CAST(author AS BLOB)) + length(CAST(text AS BLOB))"

    /// What has become of a message.
    enum Outcome: Equatable {
        case stored(SendTime)
        /// It was stored earlier, under the same key.
        case known(SendTime)
        /// Another message was stored under its key.
        case keyIsTaken
    }

    /// Adds messages and removes old ones over the limits, in one transaction.
    /// - Parameter messages: With the time that each one gets if it is new.
    @discardableResult
    mutating func append(
        _ messages: [(message: NewMessage, sendTime: SendTime)],
        now: SendTime
    ) throws(SQLiteError) -> [Outcome] {
        guard !messages.isEmpty || retention.isExceeded(by: usage, oldest: oldest, now: now) else { return [] }
        var outcomes: [Outcome] = []
        do {
            try begin.run()
            var (usage, keys) = (usage, keys)
            try keys.removeOld(adding: messages.count)
            for (message, sendTime) in messages {
                let outcome = try store(message, sendTime, &keys)
                outcomes.append(outcome)
                guard case .stored = outcome else { continue }
                usage.add(message.author.utf8.count + message.text.utf8.count + RetentionPolicy.overhead)
            }
            let (removed, firstKept) = try removeOld(&usage, now: now)
            try commit.run()
            (self.usage, self.keys) = (usage, keys)
            if let removed { heldAfter = removed }
            if let oldest = firstKept ?? removed { self.oldest = oldest }
        } catch {
            rollBack()
            throw error
        }
        checkpointIfNeeded()
        return outcomes
    }

    /// Writes to the database without changing it: adds a message and removes it, in one transaction.
    /// - Parameter time: No message's time.
    mutating func tryWriting(at time: SendTime) throws(SQLiteError) {
        do {
            try begin.run()
            try insert(NewMessage(author: "", text: ""), time)
            try deleteOne.bind(time.nanosecondsSinceEpoch, at: 1)
            try deleteOne.run()
            try commit.run()
        } catch {
            rollBack()
            throw error
        }
        checkpointIfNeeded()
    }

    private mutating func rollBack() {
        hasFramesToDiscard = true
        // Some errors have rolled the transaction back already.
        if database.isInTransaction { try? rollback.run() }
    }

    private func store(
        _ message: NewMessage,
        _ sendTime: SendTime,
        _ keys: inout SQLiteKeys
    ) throws(SQLiteError) -> Outcome {
        if let key = message.key {
            switch try keys.sendTime(of: message, under: key) {
            case .success(let known)?: return .known(known)
            case .failure?: return .keyIsTaken
            case nil: try keys.insert(message, under: key, sendTime)
            }
        }
        try insert(message, sendTime)
        return .stored(sendTime)
    }

    private func insert(_ message: NewMessage, _ sendTime: SendTime) throws(SQLiteError) {
        try insertMessage.bind(sendTime.nanosecondsSinceEpoch, at: 1)
        try insertMessage.bind(message.author, at: 2)
        try insertMessage.bind(message.text, at: 3)
        try insertMessage.run()
    }

    /// Removes what is over the limits, which may have been higher at the last start.
    mutating func trim(now: SendTime, isStopped: () -> Bool) throws(SQLiteError) {
        while !isStopped(), retention.isExceeded(by: usage, oldest: oldest, now: now) {
            let before = (heldAfter, oldest)
            try append([], now: now)
            if before == (heldAfter, oldest) { return }
        }
    }

    /// The last message before a time, and the first one at or after it.
    func neighbors(of time: SendTime) throws(SQLiteError) -> (before: SendTime?, after: SendTime?) {
        let time = time.nanosecondsSinceEpoch
        let before = try database.integer("SELECT max(time) FROM message WHERE time < \(time)")
        let after = try database.integer("SELECT min(time) FROM message WHERE time >= \(time)")
        return (before.map(SendTime.init(nanosecondsSinceEpoch:)), after.map(SendTime.init(nanosecondsSinceEpoch:)))
    }

    /// The size of the database in bytes, including pages that are still in the write-ahead log.
    func databaseSize() throws(SQLiteError) -> Int {
        let (count, size) = (try database.integer("PRAGMA page_count"), try database.integer("PRAGMA page_size"))
        return Int((count ?? 0) * (size ?? 0))
    }

    /// Checkpoints the write-ahead log if it is long.
    ///
    /// The log grows while another process reads. To checkpoint all of it afterwards takes seconds, so the
    /// checkpointer's thread does that.
    /// - Parameter isFileTooLarge: Whether the log file is larger than it may stay.
    mutating func checkpointIfNeeded(isFileTooLarge: Bool = false) {
        let frames = database.walFrames
        // SQLite has restarted the log.
        if frames < checkpointedFrames { checkpointedFrames = 0 }
        let mustTruncate = hasFramesToDiscard || isFileTooLarge
        guard mustTruncate || frames >= Self.checkpointFrames else { return }
        if let checkpointer, frames - checkpointedFrames > Self.checkpointFramesAtOnce {
            checkpointedFrames = min(frames, checkpointer.takeResult() ?? checkpointedFrames)
            guard frames - checkpointedFrames <= Self.checkpointFramesAtOnce else { return checkpointer.start() }
        }
        if mustTruncate { return truncateLog() }
        checkpointedFrames = max(checkpointedFrames, (try? database.checkpoint())?.frames ?? 0)
    }

    /// Moves everything from the write-ahead log into the database.
    mutating func truncateLog() {
        // If this fails, a later checkpoint or the next start does it.
        if (try? database.checkpoint(truncating: true))?.isComplete == true { hasFramesToDiscard = false }
    }

    /// - Returns: The times of the last message that was removed, and of the first one that was looked at and kept.
    private func removeOld(
        _ usage: inout RetentionPolicy.Usage,
        now: SendTime
    ) throws(SQLiteError) -> (removed: SendTime?, firstKept: SendTime?) {
        guard retention.isExceeded(by: usage, oldest: oldest, now: now) else { return (nil, nil) }
        var removed: SendTime?
        var firstKept: SendTime?
        var rest = usage
        try selectOldest.bind(Self.removedAtOnce, at: 1)
        try selectOldest.readRows(while: { row in
            let time = SendTime(nanosecondsSinceEpoch: row.integer(0))
            guard retention.shouldRemoveOldest(rest, oldest: time, now: now) else {
                firstKept = time
                return false
            }
            rest.remove(Int(row.integer(1)) + RetentionPolicy.overhead)
            removed = time
            return true
        })
        usage = rest
        guard let removed else { return (nil, firstKept) }
        try delete.bind(removed.nanosecondsSinceEpoch, at: 1)
        try delete.run()
        try setHeldAfter.bind(removed.nanosecondsSinceEpoch, at: 1)
        try setHeldAfter.run()
        return (removed, firstKept)
    }
}

/// Reads messages from a database while its writer continues.
struct SQLiteReader {
    private let database: Database
    private let begin, selectHeldAfter, selectMessages, selectBeforeLast, commit: Statement

    init(_ database: Database) throws(SQLiteError) {
        self.database = database
        begin = try Statement("BEGIN", on: database)
        selectHeldAfter = try Statement("SELECT held_after FROM room", on: database)
        selectMessages = try Statement(
            "SELECT time, author, text FROM message WHERE time > ?1 ORDER BY time LIMIT ?2",
            on: database
        )
        selectBeforeLast = try Statement(
            "SELECT time FROM message ORDER BY time DESC LIMIT 1 OFFSET ?1",
            on: database
        )
        commit = try Statement("COMMIT", on: database)
    }

    /// The time of the message before the latest `count`, or the time after which every message is held.
    func position(beforeLast count: Int) throws(SQLiteError) -> SendTime {
        var position: Int64?
        try selectBeforeLast.bind(Int64(count), at: 1)
        try selectBeforeLast.forEachRow { position = $0.integer(0) }
        if position == nil { try selectHeldAfter.forEachRow { position = $0.integer(0) } }
        return SendTime(nanosecondsSinceEpoch: position ?? 0)
    }

    /// The first messages after a time, and the time after which every message is held, in one transaction.
    func read(
        after time: SendTime,
        limit: HistoryPage.Limit
    ) throws(SQLiteError) -> (heldAfter: SendTime, page: HistoryPage) {
        do {
            try begin.run()
            var heldAfter = SendTime(nanosecondsSinceEpoch: .max)
            try selectHeldAfter.forEachRow { heldAfter = SendTime(nanosecondsSinceEpoch: $0.integer(0)) }
            var page = HistoryPage(messages: [], upTo: time)
            var rest = limit
            try selectMessages.bind(time.nanosecondsSinceEpoch, at: 1)
            try selectMessages.bind(Int64(limit.messages), at: 2)
            try selectMessages.readRows(while: { row in
                let sendTime = SendTime(nanosecondsSinceEpoch: row.integer(0))
                let message = Message(author: row.text(1), text: row.text(2), sendTime: sendTime)
                guard rest.admit(message) else { return false }
                page.messages.append(message)
                page.upTo = sendTime
                return true
            })
            try commit.run()
            return (heldAfter, page)
        } catch {
            if database.isInTransaction { try? commit.run() }
            throw error
        }
    }
}
