// Closures are in structs, because Swift wraps a bare function type in an array or optional anew at each use.

/// Is called once when a call has ended, on any thread.
///
/// On a client it receives the call's status. On a server it receives the handler's status and the error behind it,
/// which is for logs and must not be sent to clients. A call that cannot begin because its queue has been shut down is
/// not reported. For calls that a server refuses without a handler, see ``ServerInterceptor``.
public struct CallObserver: Sendable {
    let callEnded: @Sendable (_ status: Status, _ cause: (any Error)?) -> Void

    /// - Parameter callEnded: Receives the status, and the error behind it if there is one. It must not block.
    public init(_ callEnded: @escaping @Sendable (_ status: Status, _ cause: (any Error)?) -> Void) {
        self.callEnded = callEnded
    }

    /// Calls both, the newer one first, so that interceptors nest. `nil` if there is neither.
    init?(_ newer: CallObserver?, then older: CallObserver?) {
        guard let newer, let older else {
            guard let one = newer ?? older else { return nil }
            self = one
            return
        }
        self.init { status, cause in
            newer.callEnded(status, cause)
            older.callEnded(status, cause)
        }
    }
}

/// Sees each call of a server before its handler, and its status when the call has ended.
public struct ServerInterceptor: Sendable {
    /// Finds out who calls.
    public typealias Admission = @Sendable (ServerContext) throws(RPCError) -> (any AnyObject & Sendable)?

    let callBegan: @Sendable (ServerContext) throws -> CallObserver?
    let callRefused: @Sendable (RefusedCall) -> Void
    let admit: Admission?

    /// The call's event loop calls all of them, so they must not block.
    /// - Parameters:
    ///   - admit: Called when the headers of a call have arrived, before the server accepts its first message, also if
    ///     it does not have the method. Returns the ``ServerContext/caller``, or `nil`. Throws to refuse the call, which
    ///     costs the server least here; the error's metadata is not sent.
    ///   - callRefused: Called for each call that the server ends without a handler.
    ///   - callBegan: Called for every other call. Returns an observer of the status or `nil`. Throws to refuse the
    ///     call; an ``RPCError`` becomes the call's status.
    public init(
        admit: Admission? = nil,
        callRefused: @escaping @Sendable (RefusedCall) -> Void = { _ in },
        _ callBegan: @escaping @Sendable (ServerContext) throws -> CallObserver?
    ) {
        self.admit = admit
        self.callBegan = callBegan
        self.callRefused = callRefused
    }
}

/// Sees each call of a channel before it begins, and its status when the call has ended.
public struct ClientInterceptor: Sendable {
    let callBegins: @Sendable (_ path: String, _ options: inout CallOptions) -> CallObserver?

    /// - Parameter callBegins: May change the call's options, for example to add metadata. Returns an observer of the
    ///   status or `nil`. Called on the thread that begins the call.
    public init(_ callBegins: @escaping @Sendable (_ path: String, _ options: inout CallOptions) -> CallObserver?) {
        self.callBegins = callBegins
    }
}
