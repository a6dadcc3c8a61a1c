import Messenger
import SQLite

/// The messages in a file of SQLite's, as its one writer sees them.
///
/// A message is a row whose key is its `sendTime`, so rows lie in the file in the order in which readers want them, and
/// no index is needed beside. The room's own row says from when on messages are held.
struct SQLiteLog {
    private let database: Database
    private let retention: Retention
    private let begin, insert, oldest, remove, hold, commit, rollback: Statement

    /// For what takes so long that a sender would notice it; `nil` if none does.
    private let checkpointer: Checkpointer?
    /// How many frames of the write-ahead log are known to be in the file too.
    private var moved = 0

    private var load = Retention.Load()
    /// What a transaction that failed has written may lie in the write-ahead log.
    private var isUntidy = false
    /// The time of the oldest message there is, or a time before it.
    private var oldestTime: SendTime
    /// Every message after this time is in the file.
    private(set) var heldAfter: SendTime
    /// The time of the last message that was ever in the file, or of the file's making.
    let latest: SendTime

    /// Messages that are removed together, at the most: so that no sender waits long for it.
    private static let removedAtOnce: Int64 = 4096
    /// From so many frames on, the write-ahead log is moved into the file.
    private static let checkpointFrames = 1000
    /// Frames that are moved at once between two messages, at the most: 8 MB, a few milliseconds.
    private static let movedAtOnce = 2000

    /// - Parameter database: One to a file that ``SQLiteFile`` has made or checked.
    init(_ database: Database, retention: Retention, checkpointer: Checkpointer? = nil) throws(SQLiteError) {
        self.database = database
        self.checkpointer = checkpointer
        database.countWriteAheadLog()
        self.retention = retention
        begin = try Statement("BEGIN IMMEDIATE", on: database)
        insert = try Statement("INSERT INTO message (time, author, text) VALUES (?1, ?2, ?3)", on: database)
        oldest = try Statement("SELECT time, \(Self.size) FROM message ORDER BY time LIMIT ?1", on: database)
        remove = try Statement("DELETE FROM message WHERE time <= ?1", on: database)
        hold = try Statement("UPDATE room SET held_after = ?1", on: database)
        commit = try Statement("COMMIT", on: database)
        rollback = try Statement("ROLLBACK", on: database)

        let held = try database.number("SELECT held_after FROM room") ?? 0
        heldAfter = SendTime(nanosecondsSinceEpoch: held)
        oldestTime = SendTime(nanosecondsSinceEpoch: try database.number("SELECT min(time) FROM message") ?? held)
        latest = SendTime(nanosecondsSinceEpoch: try database.number("SELECT max(time) FROM message") ?? held)
        load.messages = Int(try database.number("SELECT count(*) FROM message") ?? 0)
        load.bytes =
            Int(try database.number("SELECT total(\(Self.size)) FROM message") ?? 0)
            + load.messages * Retention.overhead
    }

    /// In bytes; `length` of a text would count characters, and only those before a U+0000.
    private static let size = "length(CAST(author AS BLOB)) + length(CAST(text AS BLOB))"

    /// Adds messages, in one transaction, and removes old ones over the limits. All are kept, or none is.
    mutating func append(_ messages: [Message], now: SendTime) throws(SQLiteError) {
        guard !messages.isEmpty || retention.isPassed(by: load, oldest: oldestTime, now: now) else { return }
        do {
            try begin.run()
            var load = load
            for message in messages {
                try insert.bind(message.sendTime.nanosecondsSinceEpoch, at: 1)
                try insert.bind(message.author, at: 2)
                try insert.bind(message.text, at: 3)
                try insert.run()
                load.add(message.author.utf8.count + message.text.utf8.count + Retention.overhead)
            }
            let (removed, oldest) = try trim(&load, now: now)
            try commit.run()
            self.load = load
            if let removed { heldAfter = removed }
            if let oldest = oldest ?? removed { oldestTime = oldest }
        } catch {
            isUntidy = true
            // Some errors end the transaction by themselves.
            if database.isInTransaction { try? rollback.run() }
            throw error
        }
        keepWriteAheadLogShort()
    }

    /// The last message before a time, and the first one that is not.
    func neighbors(of time: SendTime) throws(SQLiteError) -> (before: SendTime?, after: SendTime?) {
        let time = time.nanosecondsSinceEpoch
        let before = try database.number("SELECT max(time) FROM message WHERE time < \(time)")
        let after = try database.number("SELECT min(time) FROM message WHERE time >= \(time)")
        return (before.map(SendTime.init(nanosecondsSinceEpoch:)), after.map(SendTime.init(nanosecondsSinceEpoch:)))
    }

    /// What all pages take, in bytes: in the file, or in the write-ahead log if they are new.
    func pageBytes() throws(SQLiteError) -> Int {
        let (count, size) = (try database.number("PRAGMA page_count"), try database.number("PRAGMA page_size"))
        return Int((count ?? 0) * (size ?? 0))
    }

    /// Removes what is over the limits, which may have been greater when the file was last open.
    mutating func trim(now: SendTime, unless isStopped: () -> Bool) throws(SQLiteError) {
        while !isStopped(), retention.isPassed(by: load, oldest: oldestTime, now: now) {
            let before = (heldAfter, oldestTime)
            try append([], now: now)
            if before == (heldAfter, oldestTime) { return }
        }
    }

    /// Moves what is in the write-ahead log into the file, if there is enough of it.
    ///
    /// While another process reads, the log grows. The message that came when that reader had just ended would wait until all
    /// of it is moved, for seconds: that is left to another thread.
    /// - Parameter isLong: The log has room that it should not keep.
    mutating func keepWriteAheadLogShort(isLong: Bool = false) {
        let frames = database.writeAheadLogFrames
        // It has begun anew.
        if frames < moved { moved = 0 }
        guard isUntidy || isLong || frames >= Self.checkpointFrames else { return }
        if frames - moved > Self.movedAtOnce, let checkpointer, checkpointer.hasBegun {
            moved = min(frames, checkpointer.takeMoved() ?? moved)
            guard frames - moved <= Self.movedAtOnce else { return checkpointer.start() }
        }
        // What a transaction that failed has left would lie behind what is written over it, and be taken for damage after a
        // kill.
        if isUntidy || isLong { return tidyUp() }
        moved = max(moved, (try? database.checkpoint())?.moved ?? 0)
    }

    /// Moves all that is in the write-ahead log into the file itself, which then is all there is to copy.
    mutating func tidyUp() {
        // If it fails, the log is moved the next time or at the next start.
        let isTidy = (try? database.checkpoint(truncating: true))?.isDone == true
        if isTidy { isUntidy = false }
    }

    /// - Returns: The times of the last message that was removed, and of the first that stays, as far as it was looked at.
    private func trim(
        _ load: inout Retention.Load,
        now: SendTime
    ) throws(SQLiteError) -> (removed: SendTime?, oldest: SendTime?) {
        guard retention.isPassed(by: load, oldest: oldestTime, now: now) else { return (nil, nil) }
        var removed: SendTime?
        var first: SendTime?
        var rest = load
        try oldest.bind(Self.removedAtOnce, at: 1)
        try oldest.readRows(while: { row in
            let time = SendTime(nanosecondsSinceEpoch: row.integer(0))
            guard retention.goes(rest, oldest: time, now: now) else {
                first = time
                return false
            }
            rest.remove(Int(row.integer(1)) + Retention.overhead)
            removed = time
            return true
        })
        load = rest
        guard let removed else { return (nil, first) }
        try remove.bind(removed.nanosecondsSinceEpoch, at: 1)
        try remove.run()
        try hold.bind(removed.nanosecondsSinceEpoch, at: 1)
        try hold.run()
        return (removed, first)
    }
}
