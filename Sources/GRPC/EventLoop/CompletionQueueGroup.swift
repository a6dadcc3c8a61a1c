internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// The completion queues of a process, shared by its servers and channels.
///
/// Call ``shutDown()`` when the servers and channels on it have been shut down. Thread-safe.
public final class CompletionQueueGroup: Sendable {
    /// The queues, each with a thread of its own.
    public let queues: [CompletionQueue]
    let library = Library()
    private let nextIndex = Atomic<Int>(0)
    private let serverCount = Atomic<Int>(0)

    /// Starts the threads.
    /// - Parameter count: How many queues; by default one per processor that the process may use, which measured best.
    public init(count: Int? = nil) throws(SystemError) {
        let count = max(1, count ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var queues: [CompletionQueue] = []
        for index in 0..<count {
            queues.append(try CompletionQueue(library: library, index: index))
        }
        self.queues = queues
    }

    /// The queue for a new call: the one whose thread the caller is on, else each in turn.
    func next() -> CompletionQueue {
        if let current = queues.first(where: \.isCurrent) { return current }
        let index = nextIndex.wrappingAdd(1, ordering: .relaxed).newValue
        return queues[Int(UInt(bitPattern: index) % UInt(queues.count))]
    }

    /// A server has been started on it; ``serverEnded()`` must follow.
    func serverBegan() {
        serverCount.add(1, ordering: .relaxed)
    }

    func serverEnded() {
        serverCount.subtract(1, ordering: .relaxed)
    }

    /// Waits for the operations in flight and ends the threads. Calls begun afterwards fail with `UNAVAILABLE`.
    ///
    /// Calls still open must have been cancelled, or this waits for them. Servers must have been shut down: it would wait
    /// for ever for the calls that they wait for, so it traps.
    public func shutDown() async {
        precondition(serverCount.load(ordering: .relaxed) == 0, "a server is to be shut down before its queues")
        for queue in queues {
            await queue.shutDown()
        }
    }
}
