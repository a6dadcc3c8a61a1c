// Structs around closures: a bare function type in an array or an optional is wrapped anew for each use.

/// Learns how a call ended, on whichever thread that was: on a client, its status; on a server, the status that its
/// handler gave, and the error behind it if there was one, which is for logs and never for clients.
///
/// Called once for each call that has begun. (A call that cannot begin, because its queue has been shut down, does not
/// end either. Of calls that a server refuses before they have a handler, ``ServerInterceptor`` tells.)
public struct CallObserver: Sendable {
    let callEnded: @Sendable (_ status: Status, _ cause: (any Error)?) -> Void

    /// - Parameter callEnded: Called with the status, and the error behind it if there was one.
    public init(_ callEnded: @escaping @Sendable (_ status: Status, _ cause: (any Error)?) -> Void) {
        self.callEnded = callEnded
    }

    /// Whichever there are, the newer one first: observers are told in the reverse of the order in which they came.
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

/// Sees each call of a server before its handler, and its status when it has ended.
public struct ServerInterceptor: Sendable {
    let callBegan: @Sendable (ServerContext) throws -> CallObserver?
    let callRefused: @Sendable (RefusedCall) -> Void

    /// Both are called on the thread that polls the call, so they must not block.
    /// - Parameters:
    ///   - callRefused: Called for each call that the server ends without a handler.
    ///   - callBegan: Called for every other call. It returns who is to learn the status, `nil` for nobody, or throws to
    ///     refuse the call: with ``RPCError``, that is the call's status.
    public init(
        callRefused: @escaping @Sendable (RefusedCall) -> Void = { _ in },
        _ callBegan: @escaping @Sendable (ServerContext) throws -> CallObserver?
    ) {
        self.callBegan = callBegan
        self.callRefused = callRefused
    }
}

/// Sees each call of a channel before it begins, and its status when it has ended.
public struct ClientInterceptor: Sendable {
    let callBegins: @Sendable (_ path: String, _ options: inout CallOptions) -> CallObserver?

    /// - Parameter callBegins: May change the call's options, to add metadata for example. It returns who is to learn the
    ///   status, `nil` for nobody.
    public init(_ callBegins: @escaping @Sendable (_ path: String, _ options: inout CallOptions) -> CallObserver?) {
        self.callBegins = callBegins
    }
}
