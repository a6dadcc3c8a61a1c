import Messenger

/// The clock by which messages grow old. It runs like the wall clock, but does not follow it when that jumps ahead.
///
/// The rule, for SQLite and Redis alike: **by age, nothing is removed that a wrong clock alone makes old.**
/// - A jump ahead counts only after it has lasted an hour, or the age that messages are kept for, if that is less. Until
///   then this clock goes on with the monotonic clock. So a clock that is a day ahead for seconds removes nothing.
/// - A jump back counts at once: it only keeps messages longer.
/// - At a start it begins with the time of the last message, if the wall clock is ahead of that. A start with a wrong clock
///   looks like a start after a long pause, so both wait for the same confirmation. If there was such a pause within the
///   last messages, a wrong clock may have made them: it begins with the message before.
/// - A message that was sent while the clock was ahead has a time from the future, and later ones follow that. They are kept
///   until the true time has come to theirs, and their age has passed.
struct AgeClock: Sendable {
    /// The wall clock's time less the monotonic one's, as far as it is believed, in nanoseconds.
    private var offset: Int64
    /// Since when the wall clock has been ahead of that, and by which offset at the least.
    private var ahead: (since: Int64, least: Int64)?
    private let confirmation: Int64

    private static let origin = ContinuousClock.now

    /// - Parameter latest: The time of the last message.
    init(
        latest: SendTime,
        age: Duration?,
        wall: SendTime = .now(),
        monotonic: Duration = ContinuousClock.now - Self.origin
    ) {
        let start = max(0, min(latest.nanosecondsSinceEpoch, wall.nanosecondsSinceEpoch))
        offset = start - Self.nanoseconds(monotonic)
        confirmation = Self.confirmation(age)
    }

    /// The time of the last message that a start can go by.
    /// - Parameter neighbors: Gives the last message before a time, and the first one that is not.
    static func lastBeforePause<E: Error>(
        latest: SendTime,
        age: Duration?,
        neighbors: (SendTime) throws(E) -> (before: SendTime?, after: SendTime?)
    ) throws(E) -> SendTime {
        let confirmation = confirmation(age)
        let (time, isBeforeTime) = latest.nanosecondsSinceEpoch.subtractingReportingOverflow(confirmation)
        guard age != nil, !isBeforeTime else { return latest }
        let (before, after) = try neighbors(SendTime(nanosecondsSinceEpoch: time))
        guard let before, let after else { return latest }
        let (pause, isLong) = after.nanosecondsSinceEpoch.subtractingReportingOverflow(before.nanosecondsSinceEpoch)
        return isLong || pause > confirmation ? before : latest
    }

    private static func confirmation(_ age: Duration?) -> Int64 { nanoseconds(min(age ?? .zero, .seconds(3600))) }

    /// The time now.
    mutating func now(
        wall: SendTime = .now(),
        monotonic: Duration = ContinuousClock.now - Self.origin
    ) -> SendTime {
        let monotonic = Self.nanoseconds(monotonic)
        let current = wall.nanosecondsSinceEpoch - monotonic
        if current <= offset {
            offset = current
            ahead = nil
        } else {
            let since = ahead?.since ?? monotonic
            let least = min(ahead?.least ?? current, current)
            let isConfirmed = monotonic - since >= confirmation
            if isConfirmed { offset = least }
            ahead = isConfirmed ? nil : (since, least)
        }
        return SendTime(nanosecondsSinceEpoch: offset + monotonic)
    }

    /// Of less than three centuries.
    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
