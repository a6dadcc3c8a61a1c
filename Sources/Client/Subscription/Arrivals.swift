import DequeModule
import Messenger
import Synchronization

/// Lets senders wait until their own messages have arrived. Thread-safe.
///
/// One timer, in ``expire()``, bounds all waits: there is one for each message sent, and hardly any lasts.
final class Arrivals: Sendable {
    private struct Waiter {
        let time: SendTime
        let deadline: ContinuousClock.Instant
        let action: @Sendable () -> Void
    }

    private struct State {
        var latest: SendTime?
        /// In the order of their times.
        var waiting: Deque<Waiter> = []
        var isClosed = false

        func isAwaited(_ time: SendTime) -> Bool {
            if let latest, latest >= time { return false }
            return !isClosed
        }

        mutating func insert(_ waiter: Waiter) {
            // Nearly always the last.
            let index = (waiting.lastIndex { $0.time <= waiter.time } ?? -1) + 1
            waiting.insert(waiter, at: index)
        }

        /// The first one that waits for no later time.
        mutating func takeFirst(upTo time: SendTime) -> Waiter? {
            guard let first = waiting.first, first.time <= time else { return nil }
            return waiting.removeFirst()
        }
    }

    /// How long a wait may last.
    private let patience: Duration
    private let state = Mutex(State())
    /// Told when somebody waits where nobody did.
    private let (beginnings, began) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    init(patience: Duration) {
        self.patience = patience
    }

    /// How many wait.
    var count: Int { state.withLock { $0.waiting.count } }

    /// The message with this time, and so all before it, have arrived.
    func reached(_ time: SendTime) {
        state.withLock { $0.latest = time }
        while let waiter = state.withLock({ $0.takeFirst(upTo: time) }) { waiter.action() }
    }

    /// Calls back once, when the message with this time has arrived, or when it has been waited for long enough: on the thread
    /// that notices it, which may be the caller's.
    func whenReached(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        let waiter = Waiter(time: time, deadline: .now + patience, action: action)
        let (isAwaited, isAlone) = state.withLock { state in
            guard state.isAwaited(time) else { return (false, false) }
            state.insert(waiter)
            return (true, state.waiting.count == 1)
        }
        if !isAwaited { action() }
        if isAlone { began.yield() }
    }

    /// Ends all waits: nothing arrives for now.
    func giveUp() {
        end { _ in true }
    }

    /// Ends waits that have lasted long enough, until the task is cancelled; then all, and nobody waits any more.
    func expire() async {
        for await _ in beginnings {
            while let deadline = state.withLock({ $0.waiting.map(\.deadline).min() }) {
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { break }
                end { $0.deadline <= .now }
            }
        }
        state.withLock { $0.isClosed = true }
        giveUp()
    }

    private func end(_ isOver: (Waiter) -> Bool) {
        let ended = state.withLock { state in
            var ended: [Waiter] = []
            // Asked once for each: what is taken out is what is resumed.
            state.waiting.removeAll { waiter in
                guard isOver(waiter) else { return false }
                ended.append(waiter)
                return true
            }
            return ended
        }
        for waiter in ended { waiter.action() }
    }
}
