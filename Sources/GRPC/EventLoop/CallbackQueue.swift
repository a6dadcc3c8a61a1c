internal import CGRPC
internal import Synchronization

/// A completion queue for long-lived calls that has no thread of its own: its events are posted to the thread of a
/// ``CompletionQueue``: by the start of the operation itself where that completes it, else by one of the core's threads.
///
/// Two reasons to bind streams to such queues. A send that the transport takes at once, as nearly all are, is complete
/// when its start returns: no event has to be waited for. And a core built with its debug checks, as Debian's is,
/// searches the list of all operations in flight on a queue at each event; a stream always has one in flight (it waits
/// for the peer's end), so streams are spread over many small queues.
///
/// `@unchecked`: the handle is thread-safe, and the tag is written before the shutdown that alone reads it.
final class CallbackQueue: @unchecked Sendable {
    let handle: OpaquePointer

    private let calls = Atomic<Int>(0)
    /// What the core calls when the queue is drained.
    private let drained: UnsafeMutablePointer<cgrpc_tag>

    /// Calls bound to one queue.
    private static let capacity = 16

    init() {
        drained = .allocate(capacity: 1)
        cgrpc_tag_init(drained, 0, callbackQueueDrained)
        // Never NULL: it allocates and aborts on failure. The functor is the tag's first member.
        handle = drained.withMemoryRebound(to: grpc_completion_queue_functor.self, capacity: 1) {
            grpc_completion_queue_create_for_callback($0, nil)
        }
    }

    deinit {
        grpc_completion_queue_destroy(handle)
        drained.deallocate()
    }

    /// Whether another call can be bound to this queue.
    var hasRoom: Bool { calls.load(ordering: .relaxed) < Self.capacity }

    /// A call is bound to this queue; ``callEnded()`` must follow.
    func callBegan() {
        calls.add(1, ordering: .relaxed)
    }

    func callEnded() {
        calls.subtract(1, ordering: .relaxed)
    }

    /// Calls `action` on some thread when no operation is in flight any more. At most once; nothing may be started on
    /// the queue afterwards.
    func shutDown(_ action: @escaping @Sendable () -> Void) {
        // The core is inside the queue when it calls back, so the callback holds the queue too.
        let callback = Callback(queue: self, action: action)
        drained.pointee.target = Unmanaged.passRetained(callback).toOpaque()
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
    guard let target = tag.pointee.target else { return }
    Unmanaged<CallbackQueue.Callback>.fromOpaque(target).takeRetainedValue().action()
}
