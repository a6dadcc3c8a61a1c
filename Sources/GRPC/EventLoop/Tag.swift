internal import CGRPC

/// Something that starts operations and gets their events.
///
/// It owns the memory that its operations point to, and is retained for each operation in flight: so that memory lives
/// until the event, whatever happens to the other references.
class EventTarget {
    /// Called once for each operation started, on the thread of the completion queue it was started for.
    func operationCompleted(_ operation: UInt32, succeeded: Bool) {
        preconditionFailure("an event target handles its events")
    }

    /// The completion queue on whose thread events are to be handled.
    var eventQueue: CompletionQueue {
        preconditionFailure("an event target has a completion queue")
    }
}

/// Where the event of an operation goes. Points into memory of the target.
///
/// `@unchecked`: the memory is written before the operation is started and read at its event, and the core orders the
/// two; the target keeps it alive.
struct Tag: @unchecked Sendable {
    /// The tag's first member, by which a callback queue knows it.
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

    /// Before the start: the operation holds one reference to its target from here on.
    func retain(_ target: EventTarget) {
        pointer.pointee.target = Unmanaged.passRetained(target).toOpaque()
    }

    /// After a start that failed, for which no event will come: gives the reference back.
    func release() {
        _ = takeTarget()
    }

    /// Hands the event to the target and gives the operation's reference back.
    func deliver(succeeded: Bool) {
        let operation = pointer.pointee.operation
        takeTarget()?.operationCompleted(operation, succeeded: succeeded)
    }

    /// Queues the event for the thread on which ``deliver(succeeded:)`` is to be called.
    func post(succeeded: Bool) {
        guard let target = pointer.pointee.target else { return }
        // The operation holds its target, and that its queue.
        Unmanaged<EventTarget>.fromOpaque(target)._withUnsafeGuaranteedRef { target in
            target.eventQueue.post(CompletionQueue.Event(tag: self, succeeded: succeeded))
        }
    }

    private func takeTarget() -> EventTarget? {
        guard let target = pointer.pointee.target else { return nil }
        pointer.pointee.target = nil
        return Unmanaged<EventTarget>.fromOpaque(target).takeRetainedValue()
    }
}

/// What a callback queue calls, on any thread and also from within the start of an operation: it only queues the event.
private func callbackQueueCompleted(_ functor: Tag.Functor?, _ succeeded: CInt) {
    Tag(UnsafeMutableRawPointer(functor))?.post(succeeded: succeeded != 0)
}
