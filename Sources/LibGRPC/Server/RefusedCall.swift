/// A call that the server ended without calling a handler. Strangers can cause many of them, so interceptors see them.
/// `Server.callBegan` decides, `ServerCall.refuse` ends the call.
public struct RefusedCall: Sendable, Hashable {
    /// Why the server refused the call.
    public enum Reason: String, Sendable, CaseIterable {
        /// The server does not have this method.
        case unknownMethod
        /// More than ``ServerOptions/maxConcurrentCalls`` calls are open.
        case tooManyCalls
        /// The connection has too many calls, see ``ServerOptions/maxConcurrentStreamsPerConnection``. The server
        /// closes it.
        case tooManyCallsOnConnection
        /// The metadata exceeds ``ServerOptions/maxMetadataSize``.
        case tooMuchMetadata
        /// An interceptor did not admit it, see ``ServerInterceptor``.
        case notAdmitted
        /// No message arrived within ``ServerOptions/firstMessageTimeout``.
        case noMessage
        /// The first message cannot be decompressed, or exceeds ``ServerOptions/maxReceiveMessageSize``.
        case badMessage
        /// The server is shutting down.
        case shuttingDown
    }

    /// Why the server refused the call.
    public let reason: Reason
    /// The code of the status that its client gets.
    public let code: Status.Code
}

extension RefusedCall.Reason {
    /// The status for the client.
    var status: Status {
        switch self {
        case .unknownMethod: Status(code: .unimplemented, message: "unknown method")
        case .tooManyCalls: Status(code: .resourceExhausted, message: "too many calls are in progress")
        case .tooManyCallsOnConnection:
            Status(code: .resourceExhausted, message: "too many calls are in progress on this connection")
        case .tooMuchMetadata: Status(code: .resourceExhausted, message: "the call has too much metadata")
        // Interceptors choose another one.
        case .notAdmitted: Status(code: .permissionDenied, message: "the call is not allowed")
        case .noMessage: Status(code: .deadlineExceeded, message: "the request message did not come in time")
        case .badMessage: Status(code: .internal, message: "the request message cannot be read")
        case .shuttingDown: Status(code: .unavailable, message: "the server is shutting down")
        }
    }
}
