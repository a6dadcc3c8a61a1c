import DequeModule
import Messenger

/// The ordered, bounded log of accepted messages: a value, without locks or waiting.
///
/// An entry has a sequence number, by which cursors find it at once, and a send time, by which readers from outside do.
struct History<Content: Sendable>: Sendable {
    /// How much is held. When either limit is passed the oldest entries go.
    struct Limits: Sendable {
        /// Most entries; at least 1.
        var messages: Int
        /// Most bytes of all entries, each with ``History/overhead``.
        var bytes: Int
    }

    private struct Entry {
        var sendTime: SendTime
        var byteCount: Int
        var content: Content
    }

    /// The memory that an entry takes beside its content, estimated, in bytes.
    static var overhead: Int { 128 }

    private let limits: Limits
    private var entries: Deque<Entry> = []
    private var byteCount = 0
    private var firstSequence = 0

    /// Every message accepted after this time is held.
    private(set) var heldAfter: SendTime
    /// No message will be accepted with this time or an earlier one.
    private(set) var latest: SendTime

    /// An empty history that begins at `start`.
    init(limits: Limits, start: SendTime) {
        self.limits = limits
        heldAfter = start
        latest = start
    }

    /// The sequence number of the next message.
    var end: Int { firstSequence + entries.count }

    /// The time for a message accepted now: the clock's, or just after the latest if the clock is not ahead of that.
    func nextSendTime(clock: SendTime) -> SendTime {
        max(clock, SendTime(nanosecondsSinceEpoch: latest.nanosecondsSinceEpoch + 1))
    }

    /// Adds an entry with a time that ``nextSendTime(clock:)`` gave, and lets go of the oldest ones over the limits.
    mutating func append(_ content: Content, sendTime: SendTime, byteCount: Int) {
        let cost = byteCount + Self.overhead
        entries.append(Entry(sendTime: sendTime, byteCount: cost, content: content))
        self.byteCount += cost
        latest = sendTime
        while entries.count > limits.messages || (self.byteCount > limits.bytes && entries.count > 1) {
            let oldest = entries.removeFirst()
            firstSequence += 1
            self.byteCount -= oldest.byteCount
            heldAfter = oldest.sendTime
        }
    }

    /// The sequence number of the first message after `time`.
    ///
    /// - Parameter now: The clock's time: a later one than this and ``latest`` is nobody's.
    mutating func sequence(after time: SendTime, now: SendTime) throws(RoomError) -> Int {
        guard time >= heldAfter else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        guard time <= max(latest, now) else { throw RoomError.inTheFuture }
        // Whatever the clock does, nothing is accepted behind a reader's back.
        latest = max(latest, time)
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].sendTime <= time { low = middle + 1 } else { high = middle }
        }
        return firstSequence + low
    }

    /// The content at a sequence number; `nil` at the end.
    func content(at sequence: Int) throws(RoomError) -> Content? {
        guard sequence >= firstSequence else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        let index = sequence - firstSequence
        return index < entries.count ? entries[index].content : nil
    }
}
