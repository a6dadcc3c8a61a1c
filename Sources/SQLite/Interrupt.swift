import CSQLite
import Synchronization

/// Interrupts statements of any number of connections, and sets their busy timeout, from any thread. Thread-safe.
public final class Interrupt: Sendable {
    private struct State {
        var isTriggered = false
        /// Addresses of the handles of open connections.
        var connections: Set<UInt> = []
    }

    private let state = Mutex(State())
    private let busyTimeout: Atomic<Int32>

    /// The time between two attempts to get a lock, in milliseconds.
    private static let retryInterval: Int32 = 2

    /// - Parameter milliseconds: How long one statement waits for locks of other connections and processes.
    public init(busyTimeout milliseconds: Int32) {
        busyTimeout = Atomic(milliseconds)
    }

    /// Sets the timeout anew, also for statements that are waiting already.
    public func setBusyTimeout(_ milliseconds: Int32) {
        busyTimeout.store(milliseconds, ordering: .relaxed)
    }

    /// Makes the statements that run now fail. From now on, none waits for a lock.
    public func trigger() {
        setBusyTimeout(0)
        state.withLock { state in
            state.isTriggered = true
            // Under the lock, so that no connection closes meanwhile.
            for connection in state.connections { sqlite3_interrupt(OpaquePointer(bitPattern: connection)) }
        }
    }

    public var isTriggered: Bool { state.withLock { $0.isTriggered } }

    func add(_ connection: OpaquePointer) {
        let address = UInt(bitPattern: connection)
        state.withLock { _ = $0.connections.insert(address) }
        installBusyHandler(on: connection)
    }

    func remove(_ connection: OpaquePointer) {
        let address = UInt(bitPattern: connection)
        state.withLock { _ = $0.connections.remove(address) }
    }

    /// `sqlite3_busy_timeout`, but with a time that can change while a statement waits. The connection must keep this
    /// object alive.
    func installBusyHandler(on connection: OpaquePointer) {
        sqlite3_busy_handler(
            connection,
            { context, attempts in
                guard let context else { return 0 }
                let interrupt = Unmanaged<Interrupt>.fromOpaque(context).takeUnretainedValue()
                let maxAttempts = interrupt.busyTimeout.load(ordering: .relaxed) / Interrupt.retryInterval
                guard attempts < maxAttempts else { return 0 }
                sqlite3_sleep(Interrupt.retryInterval)
                return 1
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }
}
