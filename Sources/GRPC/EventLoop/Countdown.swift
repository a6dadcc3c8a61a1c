internal import Synchronization

/// Calls a closure when it has been counted down to zero.
final class Countdown: Sendable {
    private let count: Atomic<Int>
    private let action: @Sendable () -> Void

    init(_ count: Int, action: @escaping @Sendable () -> Void) {
        self.count = Atomic(count)
        self.action = action
    }

    func countDown() {
        if count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { action() }
    }
}
