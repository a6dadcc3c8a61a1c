import Glibc
import Synchronization

/// Ends connections from outside, while their threads wait in them. Thread-safe.
public final class RedisInterrupt: Sendable {
    private struct State {
        var descriptors: Set<Int32> = []
        var isTriggered = false
    }

    private let state = Mutex(State())

    /// One for any number of connections.
    public init() {}

    /// Whether there are no more connections.
    public var isTriggered: Bool { state.withLock { $0.isTriggered } }

    /// Whoever waits in one of the connections gets an error now, and so does whoever makes another.
    public func trigger() {
        state.withLock { state in
            state.isTriggered = true
            for descriptor in state.descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// - Returns: Whether the connection may be.
    func add(_ descriptor: Int32) -> Bool {
        state.withLock { state in
            if !state.isTriggered { state.descriptors.insert(descriptor) }
            return !state.isTriggered
        }
    }

    /// Before it is closed: its number may then be another's.
    func remove(_ descriptor: Int32) {
        state.withLock { _ = $0.descriptors.remove(descriptor) }
    }
}
