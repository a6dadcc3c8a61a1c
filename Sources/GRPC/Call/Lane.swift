/// Where one kind of operation of a call stands: a state machine without I/O.
///
/// The one who starts an operation and the event that completes it may be on different threads, so either of "waits" and
/// "is complete" may come first.
enum Lane {
    case idle
    case inFlight
    case awaited(UnsafeContinuation<Bool, Never>)
    case complete(Bool)

    /// An operation is to be started; `false` if one is in flight.
    mutating func begin() -> Bool {
        guard case .idle = self else { return false }
        self = .inFlight
        return true
    }

    /// The operation's event has come. Returns who is to be resumed.
    mutating func complete(_ succeeded: Bool) -> UnsafeContinuation<Bool, Never>? {
        if case .awaited(let continuation) = self {
            self = .idle
            return continuation
        }
        self = .complete(succeeded)
        return nil
    }

    /// Whether the operation's event has come, and how it ended; the lane is idle then.
    mutating func take() -> Bool? {
        guard case .complete(let succeeded) = self else { return nil }
        self = .idle
        return succeeded
    }

    /// Somebody waits for the event. Returns its outcome if it has come already.
    mutating func wait(_ continuation: UnsafeContinuation<Bool, Never>) -> Bool? {
        if let succeeded = take() { return succeeded }
        self = .awaited(continuation)
        return nil
    }
}

/// The lanes that somebody awaits.
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
