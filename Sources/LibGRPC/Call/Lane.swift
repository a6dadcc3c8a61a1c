/// The state of one kind of operation of a call.
///
/// One thread may start an operation and wait for it while another one handles its event. So the wait and the event may
/// come in either order.
enum Lane {
    case idle
    case inFlight
    case awaited(UnsafeContinuation<Bool, Never>)
    case complete(Bool)

    private var isInFlight: Bool { if case .inFlight = self { true } else { false } }
    private var isComplete: Bool { if case .complete = self { true } else { false } }

    /// Claims the operation before its start. `false` if one is in flight.
    mutating func begin() -> Bool {
        guard case .idle = self else { return false }
        self = .inFlight
        return true
    }

    /// The operation's event has come. Returns the continuation to resume.
    mutating func complete(_ succeeded: Bool) -> UnsafeContinuation<Bool, Never>? {
        if case .awaited(let continuation) = self {
            self = .idle
            return continuation
        }
        assert(!isComplete, "an operation has one event")
        self = .complete(succeeded)
        return nil
    }

    /// Whether the operation succeeded, if its event has come. The lane is idle then.
    mutating func take() -> Bool? {
        guard case .complete(let succeeded) = self else { return nil }
        self = .idle
        return succeeded
    }

    /// A task waits for the event. Returns whether the operation succeeded, if the event has come already.
    mutating func wait(_ continuation: UnsafeContinuation<Bool, Never>) -> Bool? {
        if let succeeded = take() { return succeeded }
        // Otherwise this task or the one that waits already would wait for ever.
        assert(isInFlight, "an operation is in flight and has no other waiter")
        self = .awaited(continuation)
        return nil
    }
}

/// One lane for each operation of a call.
struct Lanes {
    private var opening = Lane.idle
    private var send = Lane.idle
    private var receiveInitialMetadata = Lane.idle
    private var receiveMessage = Lane.idle
    private var end = Lane.idle

    subscript(operation: Call.Operation) -> Lane {
        get {
            switch operation {
            case .opening: opening
            case .send: send
            case .receiveInitialMetadata: receiveInitialMetadata
            case .receiveMessage: receiveMessage
            case .end: end
            }
        }
        set {
            switch operation {
            case .opening: opening = newValue
            case .send: send = newValue
            case .receiveInitialMetadata: receiveInitialMetadata = newValue
            case .receiveMessage: receiveMessage = newValue
            case .end: end = newValue
            }
        }
    }
}
