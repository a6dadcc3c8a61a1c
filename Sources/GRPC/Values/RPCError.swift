/// Why a call failed: thrown to a client by its calls, and by a server's handler to end its call with this status.
public struct RPCError: Error, Sendable {
    /// What happened. Not `ok`, which is no error: a handler that throws that gives `UNKNOWN`.
    public var code: Status.Code
    /// A sentence for people. On a server it is sent to the client, so it must not tell internals.
    public var message: String
    /// Trailing metadata that goes with the status.
    public var metadata: Metadata
    /// The error that led to this one. Never sent.
    public var cause: (any Error)?

    /// An error with its code and a sentence that may be shown to the other side.
    public init(code: Status.Code, message: String, metadata: Metadata = [:], cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.metadata = metadata
        self.cause = cause
    }
}

extension RPCError: CustomStringConvertible {
    /// The code's name and the sentence.
    public var description: String { "\(code): \(message)" }
}

extension RPCError {
    /// The error of a handler as its client may see it. An error that was not written for the wire becomes `UNKNOWN`
    /// with a fixed sentence, so that no internals leak.
    init(ofHandler error: any Error) {
        switch error {
        case let error as RPCError where error.code != .ok: self = error
        case is CancellationError: self.init(code: .cancelled, message: "the call was cancelled", cause: error)
        default: self.init(code: .unknown, message: "the handler of this method failed", cause: error)
        }
    }

    /// What every call gets whose completion queue has been shut down.
    static var shutDown: RPCError { RPCError(code: .unavailable, message: "the completion queue has been shut down") }
}
