/// Learns the status with which a call ended. Called once, on whichever thread the call ended.
public typealias CallObserver = @Sendable (Status) -> Void

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
