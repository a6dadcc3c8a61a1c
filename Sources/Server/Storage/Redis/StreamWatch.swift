import Messenger

/// What there is in a room's stream at one moment: its next messages, and what tells whether some are missing.
struct StreamSnapshot: Sendable {
    /// The messages after the one that was asked from, up to a number of them.
    var messages: [Message]
    /// How many entries these are: more than messages, where some are somebody else's.
    var entries: Int
    /// The last of these entries.
    var lastEntry: StreamID?
    /// The first of these entries that is no message.
    var foreign: String?
    /// Whether these are known to be all there are.
    var isWhole: Bool
    /// How many entries were ever added to the stream.
    var added: Int64
    /// How many of them there are.
    var length: Int64
    var first: StreamID?
    /// The last entry that is there.
    var newest: StreamID?
    /// The last entry of those that somebody has removed by hand.
    var lastRemoved = StreamID.zero
    /// The last ID that was ever given out.
    var last: StreamID
    /// The room's beginning: nothing up to this time is held. Goes with everything when Redis is emptied.
    var begun: SendTime?
    /// An entry that was asked for, if it is not there.
    var lacks: StreamID?

    /// Every message after this time is in the stream.
    var heldAfter: SendTime? {
        guard let begun else { return nil }
        guard added > length else { return begun }
        guard let first else { return max(begun, last.time) }
        return max(begun, SendTime(nanosecondsSinceEpoch: first.time.nanosecondsSinceEpoch - 1))
    }

    /// Whether a message is missing of those with these times, which were in the stream before this was asked for.
    func lacks(anyOf times: [SendTime]) -> Bool {
        guard !times.isEmpty else { return false }
        let there = Set(messages.map(\.sendTime))
        let end = isWhole ? nil : lastEntry?.time
        return times.contains { time in end.map { time <= $0 } ?? true && !there.contains(time) }
    }

    /// Whether the entry that was asked for is lost: not there, though nothing that late has been let go of.
    var hasLostWhatWasAskedFor: Bool {
        guard let lacks, let heldAfter else { return false }
        return lacks > lastRemoved && lacks.time > heldAfter
    }
}

/// Follows a stream, and notices when messages are missing from it: when Redis was emptied, came back without its last
/// entries, or let go of some before they were read.
///
/// IDs alone would not tell, as a later one always looks like the next. Redis also counts what it adds to a stream, so
/// the count grows with what is read, and by nothing else.
struct StreamWatch: Sendable {
    enum Verdict: Equatable {
        case sound
        /// Messages that come after the last one seen are lost.
        case lost
        /// Another server has found that messages are lost.
        case begunAnew
    }

    /// The last ID seen: all up to it is seen.
    private(set) var last: StreamID
    /// The last entry seen.
    private(set) var newest: StreamID?
    private var added: Int64
    private(set) var begun: SendTime?

    /// Follows from the end of what there is.
    init(_ snapshot: StreamSnapshot) {
        last = snapshot.last
        newest = snapshot.newest
        added = snapshot.added
        begun = snapshot.begun
    }

    /// Takes what there is after ``last``.
    /// - Parameter told: The times of messages later than ``last`` that senders had been told before the snapshot was asked
    ///   for.
    mutating func advance(_ snapshot: StreamSnapshot, told: [SendTime] = []) -> Verdict {
        if let begun, let now = snapshot.begun, now > begun { return .begunAnew }
        let expected = added + Int64(snapshot.entries)
        // What is not whole may happen to be all the same.
        let isCounted = snapshot.isWhole ? snapshot.added == expected : snapshot.added >= expected
        guard isCounted, snapshot.last >= last, snapshot.begun == begun else { return .lost }
        // The oldest go first: when more have gone than were seen, some have that were not.
        guard snapshot.added - snapshot.length <= added else { return .lost }
        // Lost before it was seen, a message is missing from no count.
        guard !snapshot.lacks(anyOf: told) else { return .lost }
        added = expected
        if let entry = snapshot.lastEntry {
            last = entry
            newest = entry
        }
        return .sound
    }

    /// Whether all that was seen is there still, or is not held any more, in a snapshot that was asked for ``newest``.
    ///
    /// What is lost is always the end of what was there. So if the newest entry is there, none before it is lost.
    func isKept(in snapshot: StreamSnapshot) -> Bool {
        guard snapshot.begun == begun else { return false }
        guard let lacks = snapshot.lacks else { return true }
        return lacks <= snapshot.lastRemoved
    }
}
