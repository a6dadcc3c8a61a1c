import Glibc

/// What a peer of the HTTP server may use up.
struct HTTPLimits: Sendable {
    /// How long a connection may wait for a request's head, from its beginning or the last answer. Longer than common
    /// proxies keep one for reuse, or they would send requests into a connection that is being closed.
    var idleTimeout: Duration
    /// The time from a request's head to the end of its body.
    var requestTimeout: Duration
    /// A peer must take this many bytes of an answer a second, on average over ``answerWindow``.
    static let leastAnswerRate = 1024
    /// The size of all of a request's header fields together, in bytes. One field, or the target, may have half of it.
    var headerBytes = 16 * 1024
    /// The number of a request's header fields.
    var headerFields = 100
    /// The number of connections at a time. See ``possibleConnections``.
    var connections: Int
    /// Connections over that number, which can only ask for the program's health.
    var reservedConnections = 16
    /// How long these may take to ask.
    static let reservedTimeout = Duration.seconds(2)
    /// The memory that requests and answers of all connections may use together.
    var memoryBytes: Int

    var answerWindow: Duration { self.requestTimeout * 2 }

    /// The number of connections that are accepted: no more than half of the file descriptors that the process may have.
    /// With none left, accepting would be tried again and again, which takes a whole core.
    var possibleConnections: Int {
        max(1, min(self.connections, Self.fileDescriptors / 2 - self.reservedConnections))
    }

    private static var fileDescriptors: Int {
        let count = sysconf(Int32(_SC_OPEN_MAX))
        return count > 0 ? count : 1024
    }
}
