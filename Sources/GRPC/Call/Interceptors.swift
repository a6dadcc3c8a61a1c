/// Learns how a call ended, on whichever thread that was: on a client, its status; on a server, the status that its
/// handler gave, and the error behind it if there was one, which is for logs and never for clients.
///
/// Called once for each call that has begun. (A call that cannot begin, because its queue has been shut down, does not
/// end either; nor are calls seen that a server refuses before they have a handler.)
public typealias CallObserver = @Sendable (_ status: Status, _ cause: (any Error)?) -> Void

/// Sees each call of a server before its handler, and its status when it has ended.
///
/// Called on the thread that polls the call, so it must not block. It returns who is to learn the status, `nil` for
/// nobody, or throws to refuse the call: with ``RPCError``, that is the call's status.
public typealias ServerInterceptor = @Sendable (ServerContext) throws -> CallObserver?

/// Sees each call of a channel before it begins, may change its options (to add metadata, for example), and sees its
/// status when it has ended.
///
/// It returns who is to learn the status, `nil` for nobody.
public typealias ClientInterceptor = @Sendable (_ path: String, _ options: inout CallOptions) -> CallObserver?
