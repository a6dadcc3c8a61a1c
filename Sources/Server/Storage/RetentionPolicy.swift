import Messenger

/// How much a storage holds. The oldest messages are removed first. The newest one always stays.
struct RetentionPolicy: Sendable {
    /// At least 1.
    var maxMessages = 10_000_000
    /// Of authors and texts, each message with ``overhead``.
    var maxBytes = 1 << 30
    /// `nil` for no limit.
    var maxAge: Duration?

    /// The estimated bytes that a message needs besides its author and text.
    static let overhead = 24

    /// What is stored.
    struct Usage: Sendable, Equatable {
        var messages = 0
        var bytes = 0

        mutating func add(_ bytes: Int) {
            messages += 1
            self.bytes += bytes
        }

        mutating func remove(_ bytes: Int) {
            messages -= 1
            self.bytes -= bytes
        }
    }

    /// Whether a limit is exceeded.
    func isExceeded(by usage: Usage, oldest: SendTime, now: SendTime) -> Bool {
        usage.messages > 1 && (usage.messages > maxMessages || usage.bytes > maxBytes || oldest < cutoff(now: now))
    }

    /// Whether to go on removing once a limit is exceeded: to a little below the limits, so that not every new message
    /// has to remove an old one.
    func shouldRemoveOldest(_ usage: Usage, oldest: SendTime, now: SendTime) -> Bool {
        guard usage.messages > 1 else { return false }
        return usage.messages > maxMessages - min(maxMessages / 8, 1000)
            || usage.bytes > maxBytes - min(maxBytes / 8, 1 << 20)
            || oldest < cutoff(now: now)
    }

    /// Messages sent before this time are too old.
    func cutoff(now: SendTime) -> SendTime {
        maxAge.map { Self.cutoff(now: now, age: $0) } ?? SendTime(nanosecondsSinceEpoch: .min)
    }

    static func cutoff(now: SendTime, age: Duration) -> SendTime {
        let (seconds, attoseconds) = age.components
        let wholeSeconds = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let nanoseconds = wholeSeconds.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000)
        let cutoff = now.nanosecondsSinceEpoch.subtractingReportingOverflow(nanoseconds.partialValue)
        let overflows = wholeSeconds.overflow || nanoseconds.overflow || cutoff.overflow
        return SendTime(nanosecondsSinceEpoch: overflows ? .min : cutoff.partialValue)
    }
}

/// The clock that decides how old messages are. It follows the wall clock, except for jumps ahead.
///
/// The rule, for SQLite and Redis alike: **a wrong clock never makes a message expire.**
/// - A jump ahead counts only after it has lasted an hour, or `maxAge` if that is shorter. Until then this clock
///   continues with the monotonic clock. So a clock that is a day ahead for some seconds removes nothing.
/// - A jump back counts at once. It only keeps messages longer.
/// - At a start the clock begins with the time of the last message, if the wall clock is ahead of that. A start with a
///   wrong clock looks like a start after a long pause, so both wait for the same confirmation. If the last messages
///   contain such a pause, a wrong clock may have produced those after it. Then the clock begins with the message
///   before the pause.
/// - A message that was sent while the clock was ahead has a time in the future, and so have those after it. They are
///   stored until the true time has reached theirs and their age has passed.
struct RetentionClock: Sendable {
    /// The accepted difference between wall clock and monotonic clock, in nanoseconds.
    private var offset: Int64
    /// A jump ahead that is not accepted yet: since when, and its smallest offset.
    private var jump: (since: Int64, leastOffset: Int64)?
    private let confirmation: Int64

    /// - Parameter latest: The time of the last message.
    init(
        latest: SendTime,
        age: Duration?,
        wall: SendTime = .now(),
        monotonic: Duration = MonotonicClock.now
    ) {
        let start = max(0, min(latest.nanosecondsSinceEpoch, wall.nanosecondsSinceEpoch))
        offset = start - Self.nanoseconds(monotonic)
        confirmation = Self.confirmation(age)
    }

    /// The time to begin with: that of the last message, or of the one before a pause among the last messages.
    /// - Parameter neighbors: Returns the last message before a time, and the first one at or after it.
    static func trustedStart<E: Error>(
        latest: SendTime,
        age: Duration?,
        neighbors: (SendTime) throws(E) -> (before: SendTime?, after: SendTime?)
    ) throws(E) -> SendTime {
        let confirmation = confirmation(age)
        let (time, overflows) = latest.nanosecondsSinceEpoch.subtractingReportingOverflow(confirmation)
        guard age != nil, !overflows else { return latest }
        let (before, after) = try neighbors(SendTime(nanosecondsSinceEpoch: time))
        guard let before, let after else { return latest }
        let (pause, isLong) = after.nanosecondsSinceEpoch.subtractingReportingOverflow(before.nanosecondsSinceEpoch)
        return isLong || pause > confirmation ? before : latest
    }

    private static func confirmation(_ age: Duration?) -> Int64 { nanoseconds(min(age ?? .zero, .seconds(3600))) }

    mutating func now(
        wall: SendTime = .now(),
        monotonic: Duration = MonotonicClock.now
    ) -> SendTime {
        let monotonic = Self.nanoseconds(monotonic)
        let current = wall.nanosecondsSinceEpoch - monotonic
        if current <= offset {
            offset = current
            jump = nil
        } else {
            let since = jump?.since ?? monotonic
            let leastOffset = min(jump?.leastOffset ?? current, current)
            let isConfirmed = monotonic - since >= confirmation
            if isConfirmed { offset = leastOffset }
            jump = isConfirmed ? nil : (since, leastOffset)
        }
        return SendTime(nanosecondsSinceEpoch: offset + monotonic)
    }

    /// For durations under three centuries.
    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
