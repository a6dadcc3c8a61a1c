/// The state of one kind of operation of a call.
///
/// One thread may start an operation and wait for it while another one handles its event. So the wait and the event may
/// come in either order.
enum OperationSlot {
    case idle
    case inFlight
    case waiting(Waiter)
    case done(Bool)

    /// Who learns whether an operation succeeded.
    enum Waiter: Sendable {
        case task(UnsafeContinuation<Bool, Never>)
        case callback(@Sendable (Bool) -> Void)

        func resume(_ succeeded: Bool) {
            switch self {
            case .task(let continuation): continuation.resume(returning: succeeded)
            case .callback(let callback): callback(succeeded)
            }
        }
    }

    /// A callback waits.
    static func then(_ callback: @escaping @Sendable (Bool) -> Void) -> OperationSlot { .waiting(.callback(callback)) }

    /// Claims the operation before its start: it is in flight or has a waiter then. `false` if it is in use.
    mutating func begin(_ next: consuming OperationSlot = .inFlight) -> Bool {
        guard case .idle = self else { return false }
        self = next
        return true
    }

    /// The operation's event has come. Returns whom to resume.
    mutating func complete(_ succeeded: Bool) -> Waiter? {
        if case .waiting(let waiter) = self {
            self = .idle
            return waiter
        }
        assert(isInFlight, "an operation has one event")
        self = .done(succeeded)
        return nil
    }

    /// Whether the operation succeeded, if its event has come. Then the operation can start again.
    mutating func take() -> Bool? {
        guard case .done(let succeeded) = self else { return nil }
        self = .idle
        return succeeded
    }

    /// Adds a waiter, or returns whether the operation succeeded if its event has come already.
    mutating func wait(_ waiter: Waiter) -> Bool? {
        if let succeeded = take() { return succeeded }
        // Otherwise this waiter or the one that waits already would wait for ever.
        assert(isInFlight, "an operation is in flight and has no other waiter")
        self = .waiting(waiter)
        return nil
    }

    private var isInFlight: Bool { if case .inFlight = self { true } else { false } }
}

/// One slot for each operation of a call. An array in place would look up its generic type at each use.
struct OperationSlots {
    private var opening = OperationSlot.idle
    private var send = OperationSlot.idle
    private var receiveInitialMetadata = OperationSlot.idle
    private var receiveMessage = OperationSlot.idle
    private var end = OperationSlot.idle

    @inline(__always)
    subscript(operation: Call.Operation) -> OperationSlot {
        get {
            switch operation {
            case .opening: opening
            case .send: send
            case .receiveInitialMetadata: receiveInitialMetadata
            case .receiveMessage: receiveMessage
            case .end: end
            }
        }
        _modify {
            switch operation {
            case .opening: yield &opening
            case .send: yield &send
            case .receiveInitialMetadata: yield &receiveInitialMetadata
            case .receiveMessage: yield &receiveMessage
            case .end: yield &end
            }
        }
    }
}
