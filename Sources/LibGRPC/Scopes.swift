// Groups and servers that end with a closure. Each is shut down in a task of its own, because a cancelled task could not
// wait.

/// Runs `body` with the threads for servers and channels, and shuts them down after it: also if it throws, and if its
/// task is cancelled.
///
/// Channels need no scope: they end with their last reference. Calls that are still open after `body` end here, too.
///
/// ```swift
/// let greeting = try await withCompletionQueueGroup { group in
///     let channel = Channel(target: "localhost:50051", group: group)
///     return try await channel.unary(Greeter.greet, "Ann")
/// }
/// ```
/// - Parameters:
///   - count: How many queues, as in ``CompletionQueueGroup/init(count:)``.
///   - gracePeriod: How long calls that are open after `body` may continue, as in
///     ``CompletionQueueGroup/shutDown(gracePeriod:)``.
///   - body: Receives the group.
/// - Returns: What `body` returns.
/// - Throws: ``SystemError`` if a thread cannot be started, and what `body` throws.
public nonisolated(nonsending) func withCompletionQueueGroup<Result>(
    count: Int? = nil,
    gracePeriod: Duration = .zero,
    _ body: nonisolated(nonsending) (CompletionQueueGroup) async throws -> Result
) async throws -> Result {
    let group = try CompletionQueueGroup(count: count)
    return try await run {
        try await body(group)
    } finally: {
        await group.shutDown(gracePeriod: gracePeriod)
    }
}

/// Starts a server, runs `body`, and shuts the server down after it: also if it throws, and if its task is cancelled.
///
/// ```swift
/// try await withCompletionQueueGroup { group in
///     let greet = ServerMethod.unary(Greeter.greet) { name, _ in "Hello, \(name)!" }
///     try await withServer([greet], listeningOn: ["*:50051"], group: group) { server in
///         print("listening on", server.addresses)
///         try await Task.sleep(for: .seconds(3600))
///     }
/// }
/// ```
/// - Parameters:
///   - methods: The methods that clients can call.
///   - interceptors: They see each call, in this order.
///   - options: Limits and timeouts.
///   - addresses: Where the server listens. ``Server/addresses`` says which ports the system has chosen.
///   - gracePeriod: How long calls that are open after `body` may continue, as in ``Server/shutDown(gracePeriod:)``.
///   - group: Polls and handles the calls. The server ends before it.
///   - body: Receives the running server.
/// - Returns: What `body` returns.
/// - Throws: `INVALID_ARGUMENT` if two methods have the same path, ``ServerStartError``, and what `body` throws.
public nonisolated(nonsending) func withServer<Result>(
    _ methods: [ServerMethod],
    interceptors: [ServerInterceptor] = [],
    options: ServerOptions = ServerOptions(),
    listeningOn addresses: [ListenAddress],
    gracePeriod: Duration = .seconds(5),
    group: CompletionQueueGroup,
    _ body: nonisolated(nonsending) (Server) async throws -> Result
) async throws -> Result {
    let server = try Server(methods: methods, interceptors: interceptors, options: options, group: group)
    _ = try await server.start(listeningOn: addresses)
    return try await run {
        try await body(server)
    } finally: {
        await server.shutDown(gracePeriod: gracePeriod)
    }
}

private nonisolated(nonsending) func run<Result>(
    _ body: nonisolated(nonsending) () async throws -> Result,
    finally end: @escaping @Sendable () async -> Void
) async throws -> Result {
    do {
        let result = try await body()
        await Task(operation: end).value
        return result
    } catch {
        await Task(operation: end).value
        throw error
    }
}
