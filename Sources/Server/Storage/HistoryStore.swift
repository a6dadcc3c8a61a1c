import Messenger

/// Where a room's messages are kept beyond the memory of its process.
///
/// The room itself keeps the newest messages in memory, for those who follow it (``HistoryTail``). A store keeps more of
/// them, for longer: it is asked to keep each message before its sender is answered, and is read by those who have
/// fallen behind what memory holds. A room without a store (`memory:`) has its tail and nothing else.
///
/// Thread-safe. No call blocks the thread that it is made on: what takes long, a store does on threads of its own.
protocol HistoryStore: AnyObject, Sendable {
    /// The time of the last message when it was opened; the tail begins here.
    var latest: SendTime { get }
    /// Every message accepted after this time is held, as far as is known without asking.
    var heldAfter: SendTime { get }
    /// The latest time that a sender here was told. A stream that is opened later begins after it, also when the message
    /// is still on its way to the tail.
    var acknowledged: SendTime { get }
    /// How far clocks of others that give out times, or read by them, may be ahead of this machine's.
    var clockTolerance: Duration { get }

    /// Begins to bring messages to a tail: each one that is kept from now on, by whomever it was sent, in their order.
    func follow(into tail: HistoryTail) throws(StartError)

    /// Keeps a message, and calls `completion` with its time, once, on some thread: it is then kept and in the tail, or on
    /// its way there.
    ///
    /// Messages that wait at the same time are kept together, at the cost of one.
    func append(author: String, text: String, completion: @escaping AppendCompletion)

    /// The first messages after a time.
    ///
    /// - Throws: ``StorageError/noLongerHeld(heldAfter:)`` if some later than `time` are not held any more.
    func read(after time: SendTime, atMost most: HistoryPage.Size) async throws(StorageError) -> HistoryPage

    /// Keeps no more messages. Returns when those that were waiting are kept and in the tail, and all is put away.
    func close() async
}

/// Messages that a store was asked for.
struct HistoryPage: Sendable {
    /// What a page holds at the most; one message in any case.
    struct Size: Sendable {
        var messages: Int
        /// Of authors and texts.
        var bytes: Int

        /// Takes a message off, if the page is not full.
        mutating func takes(_ message: Message) -> Bool {
            guard messages > 0, bytes > 0 else { return false }
            messages -= 1
            bytes -= message.author.utf8.count + message.text.utf8.count
            return true
        }
    }

    /// In their order.
    var messages: [Message]
    /// They are all that there are up to this time. Not later than it was asked after if nothing is there that should be.
    var upTo: SendTime
}

/// Is told what came of a message. It must not block.
typealias AppendCompletion = @Sendable (Result<SendTime, StorageError>) -> Void

/// The newest messages of a room, in memory, as its store sees them. Thread-safe.
///
/// Functions and no protocol: a room is generic, and they are made where it is known what of.
struct HistoryTail: Sendable {
    /// Times for so many messages that a store is about to keep, later than all before; they are the tail's to give,
    /// because nothing may be accepted behind the back of a reader.
    let reserve: @Sendable (_ count: Int) -> [SendTime]
    /// Adds messages that are kept, in order, and wakes those who wait for them.
    let publish: @Sendable (_ messages: [Message]) -> Void
    /// Lets go of everything: messages after the tail's last one are lost. Those after `heldAfter` will come.
    let restart: @Sendable (_ heldAfter: SendTime) -> Void
}
