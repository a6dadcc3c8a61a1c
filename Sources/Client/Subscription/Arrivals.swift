import Messenger
import Synchronization

/// Lets senders wait until their own messages have arrived. Thread-safe.
final class Arrivals: Sendable {
    private struct State {
        var latest: SendTime?
        var waiting: [(time: SendTime, gate: Gate)] = []
    }

    private let state = Mutex(State())

    /// The message with this time, and so all before it, have arrived.
    func reached(_ time: SendTime) {
        let gates = state.withLock { state in
            state.latest = time
            guard !state.waiting.isEmpty else { return [Gate]() }
            let arrived = state.waiting.filter { $0.time <= time }.map(\.gate)
            state.waiting.removeAll { $0.time <= time }
            return arrived
        }
        for gate in gates { gate.open() }
    }

    /// Returns when the message with this time has arrived, when `timeout` has passed, or when the task is cancelled.
    func wait(for time: SendTime, atMost timeout: Duration) async {
        let gate = Gate()
        let isAwaited = state.withLock { state in
            if let latest = state.latest, latest >= time { return false }
            state.waiting.append((time, gate))
            return true
        }
        guard isAwaited, await !gate.wait(atMost: timeout) else { return }
        state.withLock { $0.waiting.removeAll { $0.gate === gate } }
    }
}
