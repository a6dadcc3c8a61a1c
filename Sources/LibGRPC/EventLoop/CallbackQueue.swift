internal import CGRPC
internal import Synchronization

/// A completion queue without a thread, for a server's streams of responses. The start of an operation, or one of the
/// core's threads, posts its events to the thread of a ``CompletionQueue``.
///
/// A core with debug checks, as Debian's, searches all operations in flight on a queue at each event. Each stream always
/// has one in flight, so the streams are spread over many small queues. Streams that receive do not use them, because
/// one of the core's threads would have to wake up for each message.
///
/// `@unchecked`: the handle is thread-safe, and the tag is written before the shutdown that reads it.
final class CallbackQueue: @unchecked Sendable {
    let handle: OpaquePointer

    private let calls = Atomic<Int>(0)
    /// The core calls it when the queue is drained.
    private let drained: UnsafeMutablePointer<cgrpc_tag>

    /// Calls on one queue, at most.
    private static let capacity = 16

    init() {
        drained = .allocate(capacity: 1)
        cgrpc_tag_init(drained, 0, callbackQueueDrained)
        // Never NULL: the core aborts if it cannot allocate. The functor is the tag's first member.
        handle = drained.withMemoryRebound(to: grpc_completion_queue_functor.self, capacity: 1) {
            grpc_completion_queue_create_for_callback($0, nil)
        }
    }

    deinit {
        grpc_completion_queue_destroy(handle)
        drained.deallocate()
    }

    /// Whether the queue can take another call.
    var hasRoom: Bool { calls.load(ordering: .relaxed) < Self.capacity }

    /// Counts a call on this queue. ``callEnded()`` must follow.
    func callBegan() {
        calls.add(1, ordering: .relaxed)
    }

    func callEnded() {
        calls.subtract(1, ordering: .relaxed)
    }

    /// Calls `action` on some thread when no operation is in flight any more. At most once. Nothing may start on the
    /// queue afterwards.
    func shutDown(_ action: @escaping @Sendable () -> Void) {
        // The core is inside the queue when it calls back, so the callback keeps the queue alive.
        let callback = Callback(queue: self, action: action)
        drained.pointee.target = Unmanaged.passRetained(callback).toOpaque()
        cgrpc_handed_over(drained)
        grpc_completion_queue_shutdown(handle)
    }

    fileprivate final class Callback {
        let queue: CallbackQueue
        let action: @Sendable () -> Void

        init(queue: CallbackQueue, action: @escaping @Sendable () -> Void) {
            self.queue = queue
            self.action = action
        }
    }
}

private func callbackQueueDrained(_ functor: Tag.Functor?, _: CInt) {
    guard let functor else { return }
    let tag = UnsafeMutableRawPointer(functor).assumingMemoryBound(to: cgrpc_tag.self)
    cgrpc_taken_over(tag)
    guard let target = tag.pointee.target else { return }
    Unmanaged<CallbackQueue.Callback>.fromOpaque(target).takeRetainedValue().action()
}

/// The callback queues of one completion queue. It makes as many as the streams need at a time.
struct StreamQueues: ~Copyable, Sendable {
    /// Not private, as ``Mailbox/State``.
    struct State {
        var queues: [CallbackQueue] = []
        var isClosed: Bool
    }

    private let state: Mutex<State>

    /// - Parameter isClosed: There are no callback queues, so streams use the completion queue itself.
    init(isClosed: Bool) {
        state = Mutex(State(isClosed: isClosed))
    }

    /// A queue that can take another call; `nil` once closed.
    func withRoom() -> CallbackQueue? {
        state.withLock { state in
            guard !state.isClosed else { return nil }
            if let queue = state.queues.last(where: { $0.hasRoom }) { return queue }
            let queue = CallbackQueue()
            state.queues.append(queue)
            return queue
        }
    }

    /// Makes no more queues, and returns all that there are.
    func close() -> [CallbackQueue] {
        state.withLock { state in
            state.isClosed = true
            return state.queues
        }
    }
}
