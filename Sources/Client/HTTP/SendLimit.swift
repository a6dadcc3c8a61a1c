import Synchronization

/// Counts the messages that are on their way to the room. Thread-safe.
final class SendLimit: Sendable {
    private let greatest: Int
    private let count = Atomic(0)

    /// - Parameter greatest: As many as may be on their way at a time.
    init(_ greatest: Int) {
        self.greatest = greatest
    }

    /// Counts one more, which is to be ended; `false` where there may be no more.
    func begin() -> Bool {
        if self.count.add(1, ordering: .relaxed).newValue <= self.greatest { return true }
        self.end()
        return false
    }

    /// Counts one less.
    func end() {
        self.count.subtract(1, ordering: .relaxed)
    }
}
