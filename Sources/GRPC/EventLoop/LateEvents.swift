import Synchronization

/// Delivers the events that come when a queue's thread has ended, one at a time, as the thread would.
///
/// The core may say that a callback queue is drained before it has called back for the last of its events, which it does on
/// several threads.
struct LateEvents: ~Copyable, Sendable {
    /// Not private, as ``Mailbox/State``.
    struct State {
        /// Somebody delivers: at first the queue's thread.
        var isBusy = true
        var waiting: [CompletionQueue.Event] = []
    }

    private let state = Mutex(State())

    /// Delivers an event, now or right after the one that another thread delivers. Thread-safe.
    func deliver(_ event: CompletionQueue.Event) {
        let isTurn = state.withLock { state in
            state.waiting.append(event)
            defer { state.isBusy = true }
            return !state.isBusy
        }
        if isTurn { deliverAll() }
    }

    /// The queue's thread has delivered its last event. What has been brought meanwhile is delivered before this returns.
    func threadHasEnded() {
        deliverAll()
    }

    private func deliverAll() {
        while true {
            let events = state.withLock { state in
                state.isBusy = !state.waiting.isEmpty
                return exchange(&state.waiting, with: [])
            }
            if events.isEmpty { break }
            for event in events { event.tag.deliver(succeeded: event.succeeded) }
        }
    }
}
