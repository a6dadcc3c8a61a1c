import Synchronization

/// The callback queues of a completion queue, as many as its streams have needed at a time.
struct StreamQueues: ~Copyable, Sendable {
    /// Not private, as ``Mailbox/State``.
    struct State {
        var queues: [CallbackQueue] = []
        var isClosed = false
    }

    private let state = Mutex(State())

    /// One with room for another call; `nil` once closed.
    func withRoom() -> CallbackQueue? {
        state.withLock { state in
            guard !state.isClosed else { return nil }
            if let queue = state.queues.last(where: { $0.hasRoom }) { return queue }
            let queue = CallbackQueue()
            state.queues.append(queue)
            return queue
        }
    }

    /// There will be no more. Returns all that there are.
    func close() -> [CallbackQueue] {
        state.withLock { state in
            state.isClosed = true
            return state.queues
        }
    }
}
