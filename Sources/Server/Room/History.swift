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
        /// By a clock that is never set, unlike the one of the times.
        var acceptedAt: ContinuousClock.Instant
        var byteCount: Int
        var content: Content
    }

    /// The memory that an entry takes beside its content, estimated, in bytes.
    static var overhead: Int { 128 }

    private let limits: Limits
    private var entries: Deque<Entry> = []
    private var byteCount = 0
    /// The sequence number of the oldest message held.
    private(set) var firstSequence = 0

    /// Every message accepted after this time is held.
    private(set) var heldAfter: SendTime
    /// The time of the latest message, or of the history's beginning.
    private(set) var latest: SendTime
    /// No message will be accepted with this time or an earlier one. Not before ``latest``.
    private(set) var floor: SendTime
    /// Every message accepted from this instant on is held.
    private var heldSince: ContinuousClock.Instant

    /// An empty history that begins at `start`.
    init(limits: Limits, start: SendTime, at instant: ContinuousClock.Instant = .now) {
        self.limits = limits
        heldSince = instant
        heldAfter = start
        latest = start
        floor = start
    }

    /// The sequence number of the next message.
    var end: Int { firstSequence + entries.count }

    /// The time for a message accepted now: the clock's, or just after the latest if the clock is not ahead of that.
    func nextSendTime(clock: SendTime) -> SendTime {
        let (next, isBehindAllTimes) = floor.nanosecondsSinceEpoch.addingReportingOverflow(1)
        return isBehindAllTimes ? floor : max(clock, SendTime(nanosecondsSinceEpoch: next))
    }

    /// A time for a message that will be appended when it has been kept elsewhere, or never.
    mutating func reserve(clock: SendTime) -> SendTime {
        floor = nextSendTime(clock: clock)
        return floor
    }

    /// Whatever the clock does, nothing is accepted behind the back of a reader that has read up to `time`.
    mutating func raiseFloor(to time: SendTime) {
        floor = max(floor, time)
    }

    /// Lets go of all entries: only those after `time` will be held. Who follows is told.
    mutating func reset(heldAfter time: SendTime, at instant: ContinuousClock.Instant = .now) {
        // One more, so that those at the end are behind too.
        firstSequence = end + 1
        entries.removeAll()
        byteCount = 0
        heldAfter = time
        heldSince = instant
        latest = max(latest, time)
        floor = max(floor, time)
    }

    /// Adds an entry with a time that ``nextSendTime(clock:)`` gave, and lets go of the oldest ones over the limits.
    mutating func append(
        _ content: Content,
        sendTime: SendTime,
        byteCount: Int,
        at instant: ContinuousClock.Instant = .now
    ) {
        let cost = byteCount + Self.overhead
        entries.append(Entry(sendTime: sendTime, acceptedAt: instant, byteCount: cost, content: content))
        self.byteCount += cost
        latest = sendTime
        floor = max(floor, sendTime)
        while entries.count > limits.messages || (self.byteCount > limits.bytes && entries.count > 1) {
            let oldest = entries.removeFirst()
            firstSequence += 1
            self.byteCount -= oldest.byteCount
            heldAfter = oldest.sendTime
            heldSince = oldest.acceptedAt
        }
    }

    /// The sequence number of the first message after `time`.
    ///
    /// - Parameter now: The clock's time: a later one than this and ``floor`` is nobody's.
    mutating func sequence(after time: SendTime, now: SendTime) throws(RoomError) -> Int {
        guard time >= heldAfter else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        guard time <= max(floor, now) else { throw RoomError.inTheFuture }
        raiseFloor(to: time)
        return sequence(after: time)
    }

    /// The sequence number of the first message after `time`, where all later than `time` are held.
    func sequence(after time: SendTime) -> Int {
        firstSequence + entries.countOfFirst { $0.sendTime <= time }
    }

    /// The time after which the messages come that were accepted from `instant` on; `nil` if some of them may not be held.
    func position(at instant: ContinuousClock.Instant) -> SendTime? {
        guard instant >= heldSince else { return nil }
        let earlier = entries.countOfFirst { $0.acceptedAt < instant }
        guard earlier < entries.count else { return latest }
        return earlier == 0 ? heldAfter : entries[earlier - 1].sendTime
    }

    /// The content at a sequence number; `nil` at the end.
    func content(at sequence: Int) throws(RoomError) -> Content? {
        guard sequence >= firstSequence else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        let index = sequence - firstSequence
        return index < entries.count ? entries[index].content : nil
    }

    /// The time of a message that is held.
    func sendTime(at sequence: Int) -> SendTime { entries[sequence - firstSequence].sendTime }
}

extension RandomAccessCollection where Index == Int {
    /// How many elements at the beginning satisfy the condition, which no later one does: by bisection.
    fileprivate func countOfFirst(where condition: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if condition(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low - startIndex
    }
}
