import DequeModule
import Messenger
import Synchronization

/// Lets senders wait until the stream has reached their own messages, so that they read what they wrote. Thread-safe.
///
/// One task, ``runTimeouts()``, bounds all waits. Each sent message has one, and most of them are short.
final class PositionWaiters: Sendable {
    private struct Waiter {
        let time: SendTime
        let deadline: ContinuousClock.Instant
        let action: @Sendable () -> Void
    }

    private struct State {
        var position: SendTime?
        /// In the order of their times.
        var waiters: Deque<Waiter> = []
        var isClosed = false

        func mustWait(for time: SendTime) -> Bool {
            if let position, position >= time { return false }
            return !isClosed
        }

        mutating func insert(_ waiter: Waiter) {
            // Usually it is the last one.
            let index = (waiters.lastIndex { $0.time <= waiter.time } ?? -1) + 1
            waiters.insert(waiter, at: index)
        }

        mutating func removeFirst(upTo time: SendTime) -> Waiter? {
            guard let first = waiters.first, first.time <= time else { return nil }
            return waiters.removeFirst()
        }
    }

    private let timeout: Duration
    private let state = Mutex(State())
    /// Wakes ``runTimeouts()`` when there is a first waiter.
    private let (wakeUps, wakeUp) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameter timeout: How long a wait may last.
    init(timeout: Duration) {
        self.timeout = timeout
    }

    var count: Int { state.withLock { $0.waiters.count } }

    /// Ends the waits for the message with this time, and for all before it.
    func advance(to time: SendTime) {
        state.withLock { $0.position = time }
        while let waiter = state.withLock({ $0.removeFirst(upTo: time) }) { waiter.action() }
    }

    /// Calls back once: when the message with this time is received, after the timeout, or at once if neither needs a
    /// wait. On any thread, which may be the caller's.
    func whenReached(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        let waiter = Waiter(time: time, deadline: .now + timeout, action: action)
        let (mustWait, isOnly) = state.withLock { state in
            guard state.mustWait(for: time) else { return (false, false) }
            state.insert(waiter)
            return (true, state.waiters.count == 1)
        }
        if !mustWait { action() }
        if isOnly { wakeUp.yield() }
    }

    /// Ends all waits: no message can be received for now.
    func releaseAll() {
        release { _ in true }
    }

    /// Ends waits at their timeout, until the task is cancelled. After that nobody waits.
    func runTimeouts() async {
        for await _ in wakeUps {
            while let deadline = state.withLock({ $0.waiters.map(\.deadline).min() }) {
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { break }
                release { $0.deadline <= .now }
            }
        }
        state.withLock { $0.isClosed = true }
        releaseAll()
    }

    private func release(where isOver: (Waiter) -> Bool) {
        let released = state.withLock { state in
            var released: [Waiter] = []
            // Ask once for each waiter: a second answer could differ, as time goes on.
            state.waiters.removeAll { waiter in
                guard isOver(waiter) else { return false }
                released.append(waiter)
                return true
            }
            return released
        }
        for waiter in released { waiter.action() }
    }
}
