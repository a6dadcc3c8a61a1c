import Synchronization

/// Lets operations be started on a completion queue, until it is closed.
///
/// The core aborts the process when anything is started on a queue that has been shut down. So every start goes through
/// this gate, and the queue is shut down only when the gate is closed and the last start in progress has left it.
struct OperationGate: ~Copyable, Sendable {
    private static let closedBit: UInt = 1 << 63

    /// The number of starts in progress, and the highest bit once closed.
    private let state = Atomic<UInt>(0)

    /// Whether an operation may be started now. If so, ``leave()`` must follow the start.
    func enter() -> Bool {
        var current = state.load(ordering: .relaxed)
        while current & Self.closedBit == 0 {
            let (exchanged, original) = state.weakCompareExchange(
                expected: current,
                desired: current + 1,
                ordering: .acquiring
            )
            if exchanged { return true }
            current = original
        }
        return false
    }

    /// Ends one start. Returns `true` to exactly one caller after ``close()``: that one shuts the queue down.
    func leave() -> Bool {
        state.subtract(1, ordering: .acquiringAndReleasing).newValue == Self.closedBit
    }

    /// Lets nothing more in. Returns `true` if nobody is inside, so that the caller shuts the queue down.
    func close() -> Bool {
        let (old, _) = state.bitwiseOr(Self.closedBit, ordering: .acquiringAndReleasing)
        return old == 0
    }
}
