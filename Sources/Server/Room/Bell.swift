import Synchronization

/// Wakes one reader, who waits for it again and again. Thread-safe.
final class Bell: Sendable {
    private enum State {
        case silent
        case rung
        case awaited(UnsafeContinuation<Bool, Never>)
        case cancelled
    }

    private let state = Mutex(State.silent)

    /// Returns when the bell has been rung since the last wait; `false` when it has been cancelled. One at a time.
    func wait() async -> Bool {
        await withUnsafeContinuation { continuation in
            let answer: Bool? = state.withLock { state in
                switch state {
                case .rung:
                    state = .silent
                    return true
                case .cancelled:
                    return false
                case .silent, .awaited:
                    state = .awaited(continuation)
                    return nil
                }
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Ends the wait, or the next one if nobody waits now.
    func ring() {
        let waiting: UnsafeContinuation<Bool, Never>? = state.withLock { state in
            switch state {
            case .silent, .rung:
                state = .rung
                return nil
            case .cancelled:
                return nil
            case .awaited(let waiting):
                state = .silent
                return waiting
            }
        }
        waiting?.resume(returning: true)
    }

    /// Ends the wait, and every later one, with `false`.
    func cancel() {
        let waiting: UnsafeContinuation<Bool, Never>? = state.withLock { state in
            defer { state = .cancelled }
            if case .awaited(let waiting) = state { return waiting }
            return nil
        }
        waiting?.resume(returning: false)
    }

    /// Whether nobody will wait for it any more.
    var isCancelled: Bool {
        state.withLock { if case .cancelled = $0 { true } else { false } }
    }
}
