/// The time between attempts: it doubles from 50 ms to 1 s, and is spread so that clients do not come back in step.
struct Backoff: Sendable {
    static let first = Duration.milliseconds(50)
    static let longest = Duration.seconds(1)

    private var current = first

    /// The time before the next attempt.
    /// - Parameter jitter: A random number from 0 to 1, which takes off up to half.
    mutating func next(jitter: Double) -> Duration {
        defer { current = min(current * 2, Self.longest) }
        return current * (1 - jitter / 2)
    }

    /// An attempt has succeeded.
    mutating func reset() {
        current = Self.first
    }
}
