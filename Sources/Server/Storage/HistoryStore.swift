import Messenger

/// Stores a room's messages beyond the memory of its process.
///
/// The room itself keeps the newest messages in memory, for readers that follow it (``HistoryTail``). A store keeps
/// more of them for longer. It stores each message before its sender is answered, and serves readers that have fallen
/// behind memory. A room without a store (`memory:`) has only its tail.
///
/// Thread-safe. No call blocks its thread: slow work is done on the store's own threads.
protocol HistoryStore: AnyObject, Sendable {
    /// The time of the last message when the store was opened. The tail begins here.
    var latest: SendTime { get }
    /// Every message accepted after this time is stored, as far as is known without I/O.
    var heldAfter: SendTime { get }
    /// The latest time that a sender at this server has received. A stream opened later begins after it, even if that
    /// message has not reached the tail yet.
    var lastAcknowledged: SendTime { get }
    /// Whether other servers store messages too.
    var isShared: Bool { get }
    /// The clock that assigns times, as far as is known without I/O.
    var now: SendTime { get }
    /// How far ``now`` may be from that clock.
    var maxClockSkew: Duration { get }

    /// Starts to feed a tail with every message stored from now on, by whichever server, in order.
    func follow(into tail: HistoryTail) throws(StartError)

    /// Stores a message, and calls `completion` once, on any thread. On success the message is stored, and it is in the
    /// tail or on its way there.
    ///
    /// A message and its key are stored together or not at all. A message that is known by its key is not stored again:
    /// `completion` gets the time of the first one. Messages that wait at the same time are stored together (group
    /// commit).
    func append(_ message: NewMessage, completion: @escaping AppendCompletion)

    /// The first messages after a time.
    ///
    /// - Throws: ``StorageError/noLongerHeld(heldAfter:)`` if some messages later than `time` are no longer stored.
    func read(after time: SendTime, limit: HistoryPage.Limit) async throws(StorageError) -> HistoryPage

    /// The time after which the latest `count` messages begin, or all that are stored if these are fewer.
    func position(beforeLast count: Int) async throws(StorageError) -> SendTime

    /// Accepts no more messages. Returns when the waiting ones are stored and in the tail, and the storage is closed.
    func close() async
}

/// The result of an append. Must not block.
typealias AppendCompletion = @Sendable (Result<SendTime, StorageError>) -> Void

/// Messages read from a store.
struct HistoryPage: Sendable {
    /// The largest size of a page, which has at least one message in any case.
    struct Limit: Sendable {
        var messages: Int
        /// Of authors and texts.
        var bytes: Int

        /// Deducts a message from the limit, unless the page is full.
        mutating func admit(_ message: Message) -> Bool {
            guard messages > 0, bytes > 0 else { return false }
            messages -= 1
            bytes -= message.author.utf8.count + message.text.utf8.count
            return true
        }
    }

    /// In order.
    var messages: [Message]
    /// The page has every message up to this time. It is not later than the requested time if messages are missing.
    var upTo: SendTime
}

/// A store's access to the room's newest messages, in memory. Thread-safe.
///
/// Closures instead of a protocol, because a room is generic and a store does not know its type.
struct HistoryTail: Sendable {
    /// Reserves times for messages that will be stored, later than all before. The tail assigns them, so that no
    /// message gets a time that a reader has already passed.
    let reserve: @Sendable (_ count: Int) -> [SendTime]
    /// Appends stored messages, in order, and notifies readers.
    let publish: @Sendable (_ messages: [Message]) -> Void
    /// Drops everything, because messages after the tail's last one are lost. Messages after `heldAfter` will follow.
    let reset: @Sendable (_ heldAfter: SendTime) -> Void
}
