internal import CGRPC
internal import Synchronization

/// Lets operations start on a completion queue until it is closed.
///
/// The core aborts the process if anything starts on a queue that has been shut down. So every start enters this gate.
/// The queue is shut down when the gate is closed and the last start in progress has left it.
struct OperationGate: ~Copyable, Sendable {
    private static let closedBit: UInt = 1 << 63

    /// The number of starts in progress, and the highest bit once closed.
    private let state = Atomic<UInt>(0)

    /// Whether an operation may start now. If so, ``leave()`` must follow the start.
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

    /// Ends one start. Returns `true` to exactly one caller after ``close()``: that caller shuts the queue down.
    func leave() -> Bool {
        state.subtract(1, ordering: .acquiringAndReleasing).newValue == Self.closedBit
    }

    /// Admits no more starts. Returns `true` if none is in progress: then the caller shuts the queue down.
    func close() -> Bool {
        let (old, _) = state.bitwiseOr(Self.closedBit, ordering: .acquiringAndReleasing)
        return old == 0
    }
}

// MARK: - Starts and shutdown of a completion queue

extension CompletionQueue {
    /// Runs `start`, which may start operations. Returns `nil` without running it if the queue is closed.
    func whileOpen<Result>(_ start: () -> Result) -> Result? {
        if isCurrent, !isPolling, holdsGate { return start() }
        guard gate.enter() else { return nil }
        defer { leaveGate() }
        return start()
    }

    func leaveGate() {
        if gate.leave() { shutDownHandles() }
    }

    /// Closes the queue, waits for the operations in flight, and ends the thread.
    ///
    /// Waits for ever for a call that has neither ended nor been cancelled.
    func shutDown() async {
        close()
        await mailbox.waitForEnd()
    }

    /// As ``shutDown()``, without waiting.
    func close() {
        if gate.close() { shutDownHandles() }
    }

    /// Shuts down the callback queues first: their last events need this queue's thread.
    private func shutDownHandles() {
        let queues = streamQueues.close()
        // One more than there are queues, so that the countdown also ends if there are none.
        let remaining = Countdown(queues.count + 1) { [self] in
            if wakeupGate.close() { grpc_completion_queue_shutdown(handle) }
        }
        for queue in queues {
            queue.shutDown { remaining.countDown() }
        }
        remaining.countDown()
    }
}

/// Calls a closure when it has been counted down to zero. Thread-safe.
private final class Countdown: Sendable {
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
