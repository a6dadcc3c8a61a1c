internal import CGRPC
internal import Glibc
internal import Synchronization

/// The completion queues of a process. Its servers and channels share them.
///
/// End it with ``shutDown(gracePeriod:)``. Thread-safe.
public final class CompletionQueueGroup: Sendable {
    /// The queues. Each has a thread of its own.
    public let queues: [CompletionQueue]
    let core: CoreVersion
    let transport: Transport
    private let nextIndex = Atomic<Int>(0)
    private let users = Mutex(Users())

    /// What uses the queues, for the shutdown.
    ///
    /// `@unchecked`: the core's handles of calls are thread-safe.
    private struct Users: @unchecked Sendable {
        var servers: [ObjectIdentifier: Server] = [:]
        var channels: [ObjectIdentifier: ChannelSocket] = [:]
        /// The calls of channels.
        var calls: Set<OpaquePointer> = []
        /// No server can start.
        var isEnding = false
        /// No call can begin either.
        var isShutDown = false
    }

    /// How long a connection may take to send what is left, after all its calls have been cancelled.
    static let farewell = Duration.milliseconds(500)

    /// Starts the threads.
    /// - Parameter count: How many queues. By default one for each processor that is online, and at least two: while
    ///   one thread reads everything that a peer has sent in one go, the other one handles the calls in it. If the
    ///   process may use fewer processors (`taskset`, a container's limit), set the count.
    /// - Throws: ``SystemError`` if a thread cannot be started. No thread is left running then.
    public convenience init(count: Int? = nil) throws(SystemError) {
        try self.init(count: count, core: .linked, transport: Transport(for: .linked))
    }

    /// - Parameters:
    ///   - core: Tests pass an unknown version.
    ///   - transport: Tests switch it off.
    init(count: Int?, core: CoreVersion, transport: Transport) throws(SystemError) {
        Library.initialize()
        self.core = core
        self.transport = transport
        var queues: [CompletionQueue] = []
        do throws(SystemError) {
            for index in 0..<max(1, count ?? max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) {
                queues.append(try CompletionQueue(index: index, core: core))
            }
        } catch {
            for queue in queues { queue.close() }
            throw error
        }
        self.queues = queues
    }

    /// The queue for a new call: the caller's own if it runs on a queue's thread, else round robin.
    func next() -> CompletionQueue {
        if let current = queues.first(where: \.isCurrent) { return current }
        let index = nextIndex.wrappingAdd(1, ordering: .relaxed).newValue
        return queues[Int(UInt(bitPattern: index) % UInt(queues.count))]
    }

    /// Registers a server that is about to start. ``serverEnded(_:)`` must follow. `false` if the group has been shut
    /// down.
    func serverBegan(_ server: Server) -> Bool {
        users.withLock { users in
            if !users.isEnding { users.servers[ObjectIdentifier(server)] = server }
            return !users.isEnding
        }
    }

    func serverEnded(_ server: Server) {
        users.withLock { $0.servers[ObjectIdentifier(server)] = nil }
    }

    /// Registers a call of a channel. ``callEnded(_:)`` must follow. `false` if the group has been shut down.
    func callBegan(_ call: OpaquePointer) -> Bool {
        users.withLock { users in
            if !users.isShutDown { users.calls.insert(call) }
            return !users.isShutDown
        }
    }

    func callEnded(_ call: OpaquePointer) {
        users.withLock { _ = $0.calls.remove(call) }
    }

    /// Registers a new channel by its socket. ``channelEnded(_:)`` must follow.
    func channelBegan(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = socket }
    }

    func channelEnded(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = nil }
    }

    /// Shuts down the servers, ends the calls of channels, and ends the threads. Calls begun afterwards fail with
    /// `UNAVAILABLE`.
    ///
    /// Half a second after all calls have ended this closes the channels' connections, because a peer may not read what
    /// is left to send.
    /// - Parameter gracePeriod: How long open calls may continue, of servers and of channels. Then the calls of servers
    ///   are cancelled, and those of channels fail with `UNAVAILABLE`.
    public func shutDown(gracePeriod: Duration = .zero) async {
        let end = ContinuousClock.now + gracePeriod
        let servers = users.withLock { users in
            users.isEnding = true
            return Array(users.servers.values)
        }
        await withTaskGroup { tasks in
            for server in servers { tasks.addTask { await server.shutDown(gracePeriod: gracePeriod) } }
        }
        while ContinuousClock.now < end, !users.withLock(\.calls.isEmpty) {
            // Cancelling the task ends the wait.
            do { try await Task.sleep(for: .milliseconds(2)) } catch { break }
        }
        users.withLock { users in
            users.isShutDown = true
            for call in users.calls {
                grpc_call_cancel_with_status(call, GRPC_STATUS_UNAVAILABLE, RPCError.shutDown.message, nil)
            }
        }
        for queue in queues { queue.close() }
        // The core completes a send only when it has sent, even if the call has been cancelled.
        let disconnection = Task {
            try await Task.sleep(for: Self.farewell)
            for socket in users.withLock({ $0.channels.values }) { socket.disconnect() }
        }
        for queue in queues {
            await queue.shutDown()
        }
        disconnection.cancel()
    }
}
