import LibGRPC
import Messenger
import SQLite

/// The keys under which messages were stored lately, in the table `idempotency_key`.
///
/// All changes belong to the transaction of the messages. If it fails, this value must be dropped too.
struct SQLiteKeys {
    private let select, selectOldest, insert, delete: Statement
    private let limits: IdempotencyKeys.Limits
    private var clock: RetentionClock
    private var count: Int
    /// The time of the oldest key, if there is one.
    private var oldest: SendTime

    static let table = """
        CREATE TABLE IF NOT EXISTS idempotency_key
            (time INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL) STRICT;
        """
    /// A transaction forgets at most this many keys, or twice as many as it adds: no sender waits long for it.
    private static let forgottenAtOnce = 1000

    /// - Parameter latest: The time of the newest message.
    init(_ database: Database, limits: IdempotencyKeys.Limits, latest: SendTime) throws(SQLiteError) {
        self.limits = limits
        clock = RetentionClock(latest: latest, age: limits.age)
        select = try Statement("SELECT time, fingerprint FROM idempotency_key WHERE key = ?1", on: database)
        selectOldest = try Statement("SELECT min(time) FROM idempotency_key", on: database)
        insert = try Statement(
            "INSERT INTO idempotency_key (time, key, fingerprint) VALUES (?1, ?2, ?3)",
            on: database
        )
        let oldest = "SELECT time FROM idempotency_key WHERE time <= ?1 ORDER BY time LIMIT ?2"
        delete = try Statement("DELETE FROM idempotency_key WHERE time IN (\(oldest)) RETURNING time", on: database)
        count = Int(try database.integer("SELECT count(*) FROM idempotency_key") ?? 0)
        self.oldest = SendTime(nanosecondsSinceEpoch: 0)
        try findOldest()
    }

    private mutating func findOldest() throws(SQLiteError) {
        var time: Int64 = 0
        try selectOldest.forEachRow { time = $0.integer(0) }
        oldest = SendTime(nanosecondsSinceEpoch: time)
    }

    /// Forgets keys over the limits, the oldest first.
    /// - Parameter added: How many messages the transaction stores.
    mutating func removeOld(adding added: Int) throws(SQLiteError) {
        let most = Int64(max(Self.forgottenAtOnce, 2 * added))
        let cutoff = RetentionPolicy.cutoff(now: clock.now(), age: limits.age)
        if count > 0, oldest <= cutoff { try removeOldest(most, upTo: cutoff) }
        if count > limits.count {
            let excess = Int64(count - limits.count)
            try removeOldest(min(excess, most), upTo: SendTime(nanosecondsSinceEpoch: .max))
        }
    }

    private mutating func removeOldest(_ number: Int64, upTo time: SendTime) throws(SQLiteError) {
        try delete.bind(time.nanosecondsSinceEpoch, at: 1)
        try delete.bind(number, at: 2)
        var removed = 0
        try delete.forEachRow { _ in removed += 1 }
        count -= removed
        try findOldest()
    }

    /// When the message was stored under this key; `nil` if it was not. A failure if another message was.
    func sendTime(
        of message: NewMessage,
        under key: IdempotencyKey
    ) throws(SQLiteError) -> Result<SendTime, StorageError>? {
        var known: (time: SendTime, fingerprint: String)?
        try select.bind(key.text, at: 1)
        try select.forEachRow { known = (SendTime(nanosecondsSinceEpoch: $0.integer(0)), $0.text(1)) }
        guard let known else { return nil }
        return known.fingerprint.hasBytes(of: message.fingerprint) ? .success(known.time) : .failure(.keyIsTaken)
    }

    /// Remembers a message that has just been stored under a new key.
    mutating func insert(
        _ message: NewMessage,
        under key: IdempotencyKey,
        _ sendTime: SendTime
    ) throws(SQLiteError) {
        try insert.bind(sendTime.nanosecondsSinceEpoch, at: 1)
        try insert.bind(key.text, at: 2)
        try insert.bind(message.fingerprint, at: 3)
        try insert.run()
        if count == 0 { oldest = sendTime }
        count += 1
    }
}
