internal import CGRPC
internal import Synchronization

/// What other threads have brought to the thread of a completion queue.
///
/// At most one wake-up is in flight. Whoever brings something while there is none starts one.
struct Mailbox: ~Copyable, Sendable {
    struct Contents: Sendable {
        var jobs: [UnownedJob] = []
        var events: [CompletionQueue.Event] = []
        var work: [any TurnWork] = []
    }

    enum Outcome {
        case added
        /// Added. The caller must wake the thread.
        case needsWakeup
        /// Not added: the thread has ended.
        case hasEnded
    }

    /// Not private: in debug builds Swift 6.3 cannot compile uses of a noncopyable type that holds a private one.
    struct State: ~Copyable {
        var contents = Contents()
        var wakeupIsUnderWay = false
        var hasEnded = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Adds something for the thread. Thread-safe.
    func bring(_ add: (inout Contents) -> Void) -> Outcome {
        state.withLock { state in
            guard !state.hasEnded else { return .hasEnded }
            add(&state.contents)
            guard !state.wakeupIsUnderWay else { return .added }
            state.wakeupIsUnderWay = true
            return .needsWakeup
        }
    }

    /// The wake-up has arrived. `take` must empty the contents.
    func wakeupArrived(_ take: (inout Contents) -> Void) {
        state.withLock { state in
            state.wakeupIsUnderWay = false
            take(&state.contents)
        }
    }

    /// Accepts nothing more. Returns what is left, and who waits for the end.
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

/// Ends the wait of the thread that polls a completion queue, from any thread.
///
/// An empty batch completes at once. It needs a call on the queue, and a call on a lame channel is never sent.
struct Wakeup {
    private let channel: OpaquePointer
    private let call: OpaquePointer

    init(_ queue: OpaquePointer) {
        // Never NULL: the core aborts if it cannot allocate.
        channel = grpc_lame_client_channel_create(nil, GRPC_STATUS_UNAVAILABLE, "wake-up")
        call = grpc_channel_create_call(
            channel,
            nil,
            0,
            queue,
            grpc_slice_from_static_string("/"),
            nil,
            gpr_inf_future(GPR_CLOCK_MONOTONIC),
            nil
        )
    }

    /// Puts an event with a null tag into the queue. The queue must not have been shut down, and the event of the
    /// previous wake-up must have been taken.
    func start() {
        let error = grpc_call_start_batch(call, nil, 0, nil, nil)
        assert(error == GRPC_CALL_OK, "an empty batch is always accepted")
    }

    func destroy() {
        grpc_call_unref(call)
        grpc_channel_destroy(channel)
    }
}

/// Delivers the events that come after a queue's thread has ended, one at a time, as the thread would.
///
/// The core may say that a callback queue is drained before it has called back for the queue's last events. It calls
/// back on several threads.
struct LateEvents: ~Copyable, Sendable {
    /// Not private, as ``Mailbox/State``.
    struct State {
        /// Somebody delivers events: at first, the queue's thread.
        var isBusy = true
        var waiting: [CompletionQueue.Event] = []
    }

    private let state = Mutex(State())

    /// Delivers an event, or leaves it to the thread that is delivering one. Thread-safe.
    func deliver(_ event: CompletionQueue.Event) {
        let isTurn = state.withLock { state in
            state.waiting.append(event)
            defer { state.isBusy = true }
            return !state.isBusy
        }
        if isTurn { deliverAll() }
    }

    /// The queue's thread has delivered its last event. Delivers the events that have come meanwhile.
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
