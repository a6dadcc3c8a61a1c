internal import Glibc
internal import Synchronization

/// The completion queues of a process, shared by its servers and channels.
///
/// Call ``shutDown()`` when the servers and channels on it have been shut down. Thread-safe.
public final class CompletionQueueGroup: Sendable {
    /// The queues, each with a thread of its own.
    public let queues: [CompletionQueue]
    private let nextIndex = Atomic<Int>(0)
    private let users = Mutex(Users())

    private struct Users {
        var servers = 0
        var channels: [ObjectIdentifier: ChannelSocket] = [:]
        var isShutDown = false
    }

    /// How long a connection may take, after all its calls have been cancelled, to send what is left.
    static let farewell = Duration.milliseconds(500)

    /// Starts the threads.
    /// - Parameter count: How many queues; by default one per processor that is online, which measured best, but at least two:
    ///   while one takes in all that a peer has sent in one go, the other one sees what that is. Where the process may use
    ///   fewer processors (`taskset`, a container's share), say how many.
    /// - Throws: If a thread cannot be started; there is none then.
    public init(count: Int? = nil) throws(SystemError) {
        Library.initialize()
        var queues: [CompletionQueue] = []
        do throws(SystemError) {
            for index in 0..<max(1, count ?? max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))) {
                queues.append(try CompletionQueue(index: index))
            }
        } catch {
            for queue in queues { queue.close() }
            throw error
        }
        self.queues = queues
    }

    /// The queue for a new call: the one whose thread the caller is on, else each in turn.
    func next() -> CompletionQueue {
        if let current = queues.first(where: \.isCurrent) { return current }
        let index = nextIndex.wrappingAdd(1, ordering: .relaxed).newValue
        return queues[Int(UInt(bitPattern: index) % UInt(queues.count))]
    }

    /// A server is being started on it; ``serverEnded()`` must follow. `false` if it has been shut down.
    func serverBegan() -> Bool {
        users.withLock { users in
            if !users.isShutDown { users.servers += 1 }
            return !users.isShutDown
        }
    }

    func serverEnded() {
        users.withLock { $0.servers -= 1 }
    }

    /// A channel to this socket has been made; ``channelEnded(_:)`` must follow.
    func channelBegan(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = socket }
    }

    func channelEnded(_ socket: ChannelSocket) {
        users.withLock { $0.channels[ObjectIdentifier(socket)] = nil }
    }

    /// Waits for the operations in flight and ends the threads. Calls begun afterwards fail with `UNAVAILABLE`.
    ///
    /// Calls still open must have been cancelled. Half a second later the channels' connections are ended, as a peer may not
    /// read what is left to be sent; a call that was not cancelled then ends with `UNAVAILABLE`, and one that waits for a
    /// connection is waited for. Servers must have been shut down: it would wait for ever for the calls that they wait for, so
    /// it traps.
    public func shutDown() async {
        users.withLock { users in
            precondition(users.servers == 0, "a server is to be shut down before its queues")
            users.isShutDown = true
        }
        for queue in queues { queue.close() }
        // The core goes on with what it has begun to send, also for a call that has been cancelled.
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
