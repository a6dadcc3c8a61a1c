#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a peer of the HTTP server may use up.
struct HTTPLimits: Sendable {
    /// The time in which a request's head has to arrive, from the connection's beginning or the last answer.
    var idleTimeout = Duration.seconds(60)
    /// The time from a request's head to the end of its body.
    var requestTimeout = Duration.seconds(30)
    /// The time in which a peer has to take some of an answer, once the connection takes no more.
    var stallTimeout = Duration.seconds(30)
    /// The size of all of a request's header fields together, in bytes; one field alone may have half of it.
    var headerBytes = 16 * 1024
    /// The number of a request's header fields.
    var headerFields = 100
    /// The number of connections at a time; more wait to be accepted. See ``possibleConnections``.
    var connections = 4096
    /// The number of connections that wait to be accepted; more are refused.
    var backlog = 1024

    /// The number of connections that are accepted: no more than half of the file descriptors that the process may have.
    /// With none left, accepting would be tried again and again, which takes a whole core.
    var possibleConnections: Int { max(1, min(self.connections, Self.fileDescriptors / 2)) }

    private static var fileDescriptors: Int {
        let count = sysconf(Int32(_SC_OPEN_MAX))
        return count > 0 ? count : 1024
    }
}
