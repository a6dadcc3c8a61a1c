internal import Glibc
internal import Synchronization

/// The completion queues of a process. Its servers and channels share them.
///
/// Shut down the servers and channels first, then the group with ``shutDown()``. Thread-safe.
public final class CompletionQueueGroup: Sendable {
    /// The queues. Each has a thread of its own.
    public let queues: [CompletionQueue]
    let core: CoreVersion
    private let nextIndex = Atomic<Int>(0)
    private let users = Mutex(Users())

    private struct Users {
        var servers = 0
        var channels: [ObjectIdentifier: ChannelSocket] = [:]
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
        try self.init(count: count, core: .linked)
    }

    /// - Parameter core: Tests pass an unknown version.
    init(count: Int?, core: CoreVersion) throws(SystemError) {
        Library.initialize()
        self.core = core
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

    /// Counts a server that is about to start. ``serverEnded()`` must follow. `false` if the group has been shut down.
    func serverBegan() -> Bool {
        users.withLock { users in
            if !users.isShutDown { users.servers += 1 }
            return !users.isShutDown
        }
    }

    func serverEnded() {
        users.withLock { $0.servers -= 1 }
    }

    /// Registers a new channel by its socket. ``channelEnded(_:)`` must follow.
    func channelBegan(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = socket }
    }

    func channelEnded(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = nil }
    }

    /// Waits for the operations in flight and ends the threads. Calls begun afterwards fail with `UNAVAILABLE`.
    ///
    /// Cancel open calls first. After half a second this closes the channels' connections, because a peer may not read
    /// what is left to send. A call that was not cancelled then fails with `UNAVAILABLE`; one that still waits for a
    /// connection delays the shutdown until it ends.
    ///
    /// Shut down servers first: this traps if one is running, because it would wait for ever.
    public func shutDown() async {
        users.withLock { users in
            precondition(users.servers == 0, "shut down the server before its completion queues")
            users.isShutDown = true
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
