import DequeModule
import Messenger

/// The ordered, bounded history of accepted messages, as a value without locks.
///
/// Cursors find an entry by its sequence number in constant time. Readers that resume find it by its send time.
struct History<Content: Sendable>: Sendable {
    /// How much is held. The oldest entries are dropped when either limit is exceeded.
    struct Limits: Sendable {
        /// At least 1.
        var messages: Int
        /// Of all entries, each with ``History/overhead``.
        var bytes: Int
    }

    private struct Entry {
        var sendTime: SendTime
        /// On the monotonic clock.
        var acceptedAt: Duration
        var byteCount: Int
        var content: Content
    }

    /// The estimated bytes that an entry needs besides its content.
    static var overhead: Int { 128 }

    private let limits: Limits
    private var entries: Deque<Entry> = []
    /// What all entries count against the limit.
    private(set) var byteCount = 0
    /// The sequence number of the oldest entry.
    private(set) var firstSequence = 0

    /// Every message accepted after this time is held.
    private(set) var heldAfter: SendTime
    /// The time of the latest message, or of the history's beginning.
    private(set) var latest: SendTime
    /// The next message gets a later time than this. Not before ``latest``.
    private(set) var floor: SendTime
    /// Every message accepted from this time of the monotonic clock on is held.
    private var heldSince: Duration

    /// An empty history that begins at `start`.
    init(limits: Limits, start: SendTime, at now: Duration = MonotonicClock.now) {
        self.limits = limits
        heldSince = now
        heldAfter = start
        latest = start
        floor = start
    }

    /// The number of messages.
    var count: Int { entries.count }

    /// The time of the oldest message; `nil` if there is none.
    var oldest: SendTime? { entries.first?.sendTime }

    /// The sequence number of the next message.
    var end: Int { firstSequence + entries.count }

    /// The time for the next message: the clock's, or just after ``floor`` if the clock is not ahead of that.
    func nextSendTime(clock: SendTime) -> SendTime {
        let (next, overflows) = floor.nanosecondsSinceEpoch.addingReportingOverflow(1)
        return overflows ? floor : max(clock, SendTime(nanosecondsSinceEpoch: next))
    }

    /// Reserves a time for a message that is stored first, and appended later or never.
    mutating func reserve(clock: SendTime) -> SendTime {
        floor = nextSendTime(clock: clock)
        return floor
    }

    /// Makes later messages get times after a reader's position, so that it does not miss them.
    mutating func raiseFloor(to time: SendTime) {
        floor = max(floor, time)
    }

    /// Drops all entries. Only messages after `time` will be held. Cursors get an error.
    mutating func reset(heldAfter time: SendTime, at now: Duration = MonotonicClock.now) {
        // Skip one number, so that cursors at the end are behind too.
        firstSequence = end + 1
        entries.removeAll()
        byteCount = 0
        heldAfter = time
        heldSince = now
        latest = max(latest, time)
        floor = max(floor, time)
    }

    /// Appends an entry with a time from ``nextSendTime(clock:)``, and drops the oldest entries over the limits.
    mutating func append(
        _ content: Content,
        sendTime: SendTime,
        byteCount: Int,
        at now: Duration = MonotonicClock.now
    ) {
        let cost = byteCount + Self.overhead
        entries.append(Entry(sendTime: sendTime, acceptedAt: now, byteCount: cost, content: content))
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
    /// - Parameter now: The clock's time. No reader can have a later position than this and ``floor``.
    mutating func sequence(after time: SendTime, now: SendTime) throws(RoomError) -> Int {
        guard time >= heldAfter else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        guard time <= max(floor, now) else { throw RoomError.inTheFuture }
        raiseFloor(to: time)
        return sequence(after: time)
    }

    /// The sequence number of the first message after `time`, which is not before ``heldAfter``.
    func sequence(after time: SendTime) -> Int {
        firstSequence + entries.partitionPoint { $0.sendTime <= time }
    }

    /// The time after which the messages accepted from a time of the monotonic clock on begin; `nil` if some of them may
    /// have been dropped.
    func position(at start: Duration) -> SendTime? {
        guard start >= heldSince else { return nil }
        let earlier = entries.partitionPoint { $0.acceptedAt < start }
        guard earlier < entries.count else { return latest }
        return earlier == 0 ? heldAfter : entries[earlier - 1].sendTime
    }

    /// The time after which the latest `count` messages begin; `nil` if fewer are held.
    func position(beforeLast count: Int) -> SendTime? {
        guard count <= entries.count else { return nil }
        return count == entries.count ? heldAfter : entries[entries.count - count - 1].sendTime
    }

    /// The time at a sequence number that is held.
    func sendTime(at sequence: Int) -> SendTime { entries[sequence - firstSequence].sendTime }

    /// The content and the time at a sequence number; `nil` at the end.
    func message(at sequence: Int) throws(RoomError) -> (content: Content, sendTime: SendTime)? {
        guard sequence >= firstSequence else { throw RoomError.noLongerHeld(heldAfter: heldAfter) }
        let index = sequence - firstSequence
        guard index < entries.count else { return nil }
        // One access: each one counts a reference to the content.
        let entry = entries[index]
        return (entry.content, entry.sendTime)
    }
}

extension RandomAccessCollection where Index == Int {
    /// The number of leading elements that satisfy a condition, which no element after them satisfies. A binary search.
    fileprivate func partitionPoint(where condition: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = (low + high) / 2
            if condition(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low - startIndex
    }
}
