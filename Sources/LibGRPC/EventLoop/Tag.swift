internal import CGRPC

/// Something that starts operations and handles their events.
///
/// It owns the memory that its operations point to. Each operation in flight retains it, so the memory lives until the
/// event.
class EventTarget {
    /// Called once for each operation started, on the thread of ``eventQueue``.
    func operationCompleted(_ operation: UInt32, succeeded: Bool) {
        preconditionFailure("an event target handles its events")
    }

    /// The completion queue whose thread handles the events.
    var eventQueue: CompletionQueue {
        preconditionFailure("an event target has a completion queue")
    }
}

/// Where the event of an operation goes. It points into memory of the target.
///
/// `@unchecked`: the memory is written before the operation starts and read at its event, and the core orders the two.
/// The target keeps the memory alive.
struct Tag: @unchecked Sendable {
    /// The tag's first member. A callback queue knows the tag by it.
    typealias Functor = UnsafeMutablePointer<grpc_completion_queue_functor>

    let pointer: UnsafeMutablePointer<cgrpc_tag>

    init(initializing pointer: UnsafeMutablePointer<cgrpc_tag>, operation: UInt32) {
        self.pointer = pointer
        cgrpc_tag_init(pointer, operation, callbackQueueCompleted)
    }

    /// Initializes the storage of a call, with a tag for each of its operations.
    static func initializeAll(of storage: UnsafeMutablePointer<cgrpc_call_storage>) {
        cgrpc_call_storage_init(storage, callbackQueueCompleted)
    }

    init(_ pointer: UnsafeMutablePointer<cgrpc_tag>) {
        self.pointer = pointer
    }

    /// The tag of an event; `nil` for a wake-up.
    init?(_ event: UnsafeMutableRawPointer?) {
        guard let event else { return nil }
        pointer = event.assumingMemoryBound(to: cgrpc_tag.self)
    }

    /// Call it before the start: the operation retains its target from here on.
    func retain(_ target: EventTarget) {
        pointer.pointee.target = Unmanaged.passRetained(target).toOpaque()
    }

    /// Releases the target. Call it if the start failed, because then no event will come.
    func release() {
        _ = takeTarget()
    }

    /// Hands the event to the target and releases the operation's reference.
    func deliver(succeeded: Bool) {
        cgrpc_taken_over(pointer)
        let operation = pointer.pointee.operation
        takeTarget()?.operationCompleted(operation, succeeded: succeeded)
    }

    /// Queues the event for the target's thread, which calls ``deliver(succeeded:)``.
    func post(succeeded: Bool) {
        cgrpc_taken_over(pointer)
        cgrpc_handed_over(pointer)
        guard let target = pointer.pointee.target else { return }
        // Once the event is queued, its delivery can release the target, and with it the queue. So hold the queue here.
        let queue = Unmanaged<EventTarget>.fromOpaque(target)._withUnsafeGuaranteedRef { $0.eventQueue }
        defer { extendLifetime(queue) }
        queue.post(CompletionQueue.Event(tag: self, succeeded: succeeded))
    }

    private func takeTarget() -> EventTarget? {
        guard let target = pointer.pointee.target else { return nil }
        pointer.pointee.target = nil
        return Unmanaged<EventTarget>.fromOpaque(target).takeRetainedValue()
    }
}

/// A callback queue calls it on any thread, also from within the start of an operation. It only queues the event.
private func callbackQueueCompleted(_ functor: Tag.Functor?, _ succeeded: CInt) {
    Tag(UnsafeMutableRawPointer(functor))?.post(succeeded: succeeded != 0)
}
