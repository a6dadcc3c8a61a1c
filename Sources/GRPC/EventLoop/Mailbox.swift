import Synchronization

/// What other threads bring to the thread of a completion queue, until that has ended.
///
/// One wake-up is under way at a time: who brings something while there is none has to start it.
struct Mailbox: ~Copyable, Sendable {
    struct Contents: Sendable {
        var jobs: [UnownedJob] = []
        var events: [CompletionQueue.Event] = []
        var work: [any TurnWork] = []
    }

    enum Outcome {
        case added
        /// Added; the caller is to wake the thread.
        case needsWakeup
        /// The thread has ended, and takes nothing more.
        case hasEnded
    }

    /// Not private: Swift 6.3 fails to compile uses of a type without copies that holds a private one, without optimization.
    struct State: ~Copyable {
        var contents = Contents()
        var wakeupIsUnderWay = false
        var hasEnded = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Brings something. Thread-safe.
    func bring(_ add: (inout Contents) -> Void) -> Outcome {
        state.withLock { state in
            guard !state.hasEnded else { return .hasEnded }
            add(&state.contents)
            guard !state.wakeupIsUnderWay else { return .added }
            state.wakeupIsUnderWay = true
            return .needsWakeup
        }
    }

    /// The wake-up has arrived: hands over what there is, which `take` has to empty.
    func wakeupArrived(_ take: (inout Contents) -> Void) {
        state.withLock { state in
            state.wakeupIsUnderWay = false
            take(&state.contents)
        }
    }

    /// Nothing more is taken. Returns what there is still, and who waits for this.
    func end() -> (rest: Contents, waiting: [CheckedContinuation<Void, Never>]) {
        state.withLock { state in
            state.hasEnded = true
            return (exchange(&state.contents, with: Contents()), state.waitingForEnd)
        }
    }

    /// Waits until the thread has ended.
    func waitForEnd() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.waitingForEnd.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }
}
