internal import CGRPC
internal import Synchronization

/// What other threads have brought to the thread of a completion queue.
///
/// At most one *taker* is under way: a wake-up, or after the thread's end a task that acts in its place. Whoever brings
/// something while there is none starts one.
struct Mailbox: ~Copyable, Sendable {
    struct Contents: Sendable {
        var jobs: [UnownedJob] = []
        var events: [CompletionQueue.Event] = []
        var work: [CompletionQueue.Work] = []

        var isEmpty: Bool { jobs.isEmpty && events.isEmpty && work.isEmpty }
    }

    enum Outcome {
        case added
        /// The caller must wake the thread.
        case needsWakeup
        /// The thread has ended. The caller must have somebody take the contents in its place until there are none.
        case needsTaker
    }

    /// Not private: in debug builds Swift 6.3 cannot compile uses of a noncopyable type that holds a private one.
    struct State: ~Copyable {
        var contents = Contents()
        var takerIsUnderWay = false
        var hasEnded = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// Adds something for the thread. Thread-safe.
    func bring(_ add: (inout Contents) -> Void) -> Outcome {
        state.withLock { state in
            add(&state.contents)
            guard !state.takerIsUnderWay else { return .added }
            state.takerIsUnderWay = true
            return state.hasEnded ? .needsTaker : .needsWakeup
        }
    }

    /// The wake-up has arrived. `take` must empty the contents.
    func wakeupArrived(_ take: (inout Contents) -> Void) {
        state.withLock { state in
            state.takerIsUnderWay = false
            take(&state.contents)
        }
    }

    /// The thread ends: it becomes the first taker after its end. Returns who waits for that.
    func end() -> [CheckedContinuation<Void, Never>] {
        state.withLock { state in
            state.hasEnded = true
            state.takerIsUnderWay = true
            return state.waitingForEnd
        }
    }

    /// What has come after the end; `nil` if there is nothing. Then the caller is no longer the taker.
    func takeRest() -> Contents? {
        state.withLock { state in
            state.takerIsUnderWay = !state.contents.isEmpty
            return state.takerIsUnderWay ? exchange(&state.contents, with: Contents()) : nil
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

extension CompletionQueue {
    struct Event {
        let tag: Tag
        let succeeded: Bool
    }

    /// What ``execute(sendCount:_:)`` has been given.
    struct Work: Sendable {
        let run: @Sendable () -> Void
        let sendCount: @Sendable () -> Int
    }
}
