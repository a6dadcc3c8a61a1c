/// A call that a server ended without a handler. Interceptors learn of it, as strangers can make many of them.
public struct RefusedCall: Sendable, Hashable {
    /// Why there was no handler.
    public enum Reason: String, Sendable, CaseIterable {
        /// The server has no such method.
        case unknownMethod
        /// ``ServerOptions/maxConcurrentCalls`` are open.
        case tooManyCalls
        /// The connection has more calls than ``ServerOptions/maxConcurrentStreamsPerConnection`` allows. It is ended.
        case tooManyCallsOnConnection
        /// The metadata is larger than ``ServerOptions/maxMetadataSize``.
        case tooMuchMetadata
        /// No message came within ``ServerOptions/firstMessageTimeout``.
        case noMessage
        /// The first message could not be expanded, or is larger than ``ServerOptions/maxReceiveMessageSize``.
        case badMessage
        /// The server is being shut down.
        case shuttingDown
    }

    /// Why there was no handler.
    public let reason: Reason
}

extension RefusedCall.Reason {
    /// What the client is told.
    var status: Status {
        switch self {
        case .unknownMethod: Status(code: .unimplemented, message: "unknown method")
        case .tooManyCalls: Status(code: .resourceExhausted, message: "too many calls are in progress")
        case .tooManyCallsOnConnection:
            Status(code: .resourceExhausted, message: "too many calls are in progress on this connection")
        case .tooMuchMetadata: Status(code: .resourceExhausted, message: "the call has too much metadata")
        case .noMessage: Status(code: .deadlineExceeded, message: "the request message did not come in time")
        case .badMessage: Status(code: .internal, message: "the request message cannot be read")
        case .shuttingDown: Status(code: .unavailable, message: "the server is shutting down")
        }
    }
}
