import CSQLite
import Synchronization

/// Bounds how long connections wait for locks of other connections and processes, and ends what they do.
///
/// Connections are used by one thread; this is for the others. Thread-safe.
public final class Interrupt: Sendable {
    private struct State {
        var isTriggered = false
        /// Addresses of the handles of open connections.
        var connections: Set<UInt> = []
    }

    private let state = Mutex(State())
    private let patience: Atomic<Int32>

    /// How long a connection that waits sleeps before it tries again.
    private static let nap: Int32 = 2

    /// - Parameter milliseconds: How long one statement waits for a lock.
    public init(lockPatience milliseconds: Int32) {
        patience = Atomic(milliseconds)
    }

    /// From now on, and where a statement waits already, it waits no longer than this.
    public func limitWaiting(to milliseconds: Int32) {
        patience.store(milliseconds, ordering: .relaxed)
    }

    /// Ends the statements that run now with an error. None waits for a lock any more.
    public func trigger() {
        limitWaiting(to: 0)
        state.withLock { state in
            state.isTriggered = true
            // Under the lock: a connection that closes is removed first.
            for connection in state.connections { sqlite3_interrupt(OpaquePointer(bitPattern: connection)) }
        }
    }

    public var isTriggered: Bool { state.withLock { $0.isTriggered } }

    func add(_ connection: OpaquePointer) {
        let address = UInt(bitPattern: connection)
        state.withLock { _ = $0.connections.insert(address) }
        wait(connection)
    }

    func remove(_ connection: OpaquePointer) {
        let address = UInt(bitPattern: connection)
        state.withLock { _ = $0.connections.remove(address) }
    }

    /// Has a connection wait for locks. The connection keeps this object.
    func wait(_ connection: OpaquePointer) {
        sqlite3_busy_handler(
            connection,
            { context, tries in
                guard let context else { return 0 }
                let interrupt = Unmanaged<Interrupt>.fromOpaque(context).takeUnretainedValue()
                guard tries < interrupt.patience.load(ordering: .relaxed) / Interrupt.nap else { return 0 }
                sqlite3_sleep(Interrupt.nap)
                return 1
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }
}
