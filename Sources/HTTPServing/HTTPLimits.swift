import Glibc
import Synchronization

/// What the peers of an HTTP server may use.
package struct HTTPLimits: Sendable {
    /// How long a connection may wait for a request's head, from its beginning or the last response. Longer than common
    /// proxies keep a connection for reuse: they would send requests into one that is being closed.
    package var idleTimeout: Duration
    /// The time from a request's head to the end of its body.
    package var requestTimeout: Duration
    /// The longest body of a request, in bytes.
    package var bodyBytes: Int
    /// The size of all of a request's header fields together, in bytes. One field, or the target, may have half of it.
    package var headerBytes = 16 * 1024
    /// The number of a request's header fields.
    package var headerFields = 100
    /// The number of connections at a time. See ``possibleConnections``.
    package var connections: Int
    /// Connections over that number, which can only ask for the program's health.
    package var reservedConnections = 16
    /// The memory that requests and responses of all connections may use together.
    package var memoryBytes: Int

    /// How long a reserved connection may take for a request.
    static let reservedTimeout = Duration.seconds(2)
    /// A peer must take this many bytes of a response a second, on average over ``responseWindow``.
    static let minimumResponseRate = 1024

    package init(
        idleTimeout: Duration,
        requestTimeout: Duration,
        bodyBytes: Int,
        connections: Int,
        memoryBytes: Int
    ) {
        self.idleTimeout = idleTimeout
        self.requestTimeout = requestTimeout
        self.bodyBytes = bodyBytes
        self.connections = connections
        self.memoryBytes = memoryBytes
    }

    var responseWindow: Duration { requestTimeout * 2 }

    /// The number of connections that are accepted: no more than half of the file descriptors that the process may have.
    /// Without a free one, the event loop would retry accepting without a pause.
    package var possibleConnections: Int {
        max(1, min(connections, Self.fileDescriptors / 2 - reservedConnections))
    }

    private static var fileDescriptors: Int {
        let count = sysconf(Int32(_SC_OPEN_MAX))
        return count > 0 ? count : 1024
    }
}

/// The memory that all connections may use together, in bytes. Thread-safe.
package final class HTTPMemory: Sendable {
    package let limit: Int
    private let whole: HTTPMemory?
    private let used = Atomic(0)

    /// - Parameter whole: What this is a share of.
    package init(limit: Int, of whole: HTTPMemory? = nil) {
        self.limit = limit
        self.whole = whole
    }

    package var usedBytes: Int { used.load(ordering: .relaxed) }

    /// Reserves memory, to be released; `false` if there is not enough.
    package func reserve(_ bytes: Int) -> Bool {
        let newValue = used.add(bytes, ordering: .relaxed).newValue
        if newValue <= limit, whole?.reserve(bytes) ?? true { return true }
        if let whole, bytes > limit, newValue == bytes {
            // One that is larger than the share, alone: it would wait forever otherwise.
            whole.add(bytes)
            return true
        }
        used.subtract(bytes, ordering: .relaxed)
        return false
    }

    /// Counts memory that is used in any case, to be released.
    package func add(_ bytes: Int) {
        used.add(bytes, ordering: .relaxed)
        whole?.add(bytes)
    }

    package func release(_ bytes: Int) {
        used.subtract(bytes, ordering: .relaxed)
        whole?.release(bytes)
    }
}
