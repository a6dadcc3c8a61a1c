/// Lets a number of messages pass in a second, and as many at once after a pause.
struct TokenBucket: Sendable, Equatable {
    let rate: MessageRate
    /// The time between two messages, in nanoseconds.
    private let interval: Int64
    /// When the bucket is full again.
    private var fullAgain: ContinuousClock.Instant?

    init(_ rate: MessageRate) {
        self.rate = rate
        interval = 1_000_000_000 / Int64(rate.perSecond)
    }

    /// Takes one message out of the bucket.
    ///
    /// - Returns: `nil` if there is one, else how long it takes until there is. Then nothing was taken.
    mutating func take(now: ContinuousClock.Instant) -> Duration? {
        let start = max(fullAgain ?? now, now)
        let wait = start - now - .nanoseconds(interval * Int64(rate.perSecond - 1))
        guard wait <= .zero else { return wait }
        fullAgain = start + .nanoseconds(interval)
        return nil
    }
}
