internal import Synchronization

/// A failed TLS handshake of a server. The core logs the reason, but not the connection.
public struct HandshakeFailure: Sendable {
    /// The reason, in OpenSSL's words.
    public let reason: String
    /// The possible clients, in the core's form: those that connected just before and are still connected. Usually
    /// one.
    public let peers: [String]

    /// The peers without their ports, which differ when a client tries again.
    public var hosts: [String] {
        Set(peers.map { String($0.prefix(upTo: $0.lastIndex(of: ":") ?? $0.endIndex)) }).sorted()
    }

    /// Parses a message of the core's log.
    /// - Parameters:
    ///   - message: The message that a handler of ``CoreLog`` received.
    ///   - source: The source file in the core.
    /// - Returns: `nil` if the message is about something else.
    public init?(coreLog message: String, source: String) {
        guard source.contains("ssl_transport_security.cc"), message.hasPrefix("Handshake failed with fatal error")
        else {
            return nil
        }
        reason = Self.reason(in: message)
        peers = Self.recent.withLock { $0.open(at: .now) }
    }

    /// The message is, for example, `Handshake failed with fatal error SSL_ERROR_SSL: error:0A0000C7:SSL
    /// routines::peer did not return a certificate.`
    static func reason(in message: String) -> String {
        let reason = message.split(separator: ":").last.map(String.init) ?? message
        let text = reason.hasSuffix(".") ? String(reason.dropLast()) : reason
        let isPlain = ["http request", "https proxy request", "wrong version number", "unknown protocol"].contains(text)
        return isPlain ? "\(text): the client does not speak TLS" : text
    }

    /// Call it when a connection begins its handshake.
    static func begins(on connection: Connection) {
        recent.withLock { $0.add(connection, at: .now) }
    }

    private static let recent = Mutex(Recent())

    private struct Recent {
        private var connections: [(connection: Connection, since: ContinuousClock.Instant)] = []

        private static let most = 16
        private static let age = Duration.seconds(20)

        mutating func add(_ connection: Connection, at now: ContinuousClock.Instant) {
            if connections.count == Self.most { connections.removeFirst() }
            connections.append((connection, now))
        }

        mutating func open(at now: ContinuousClock.Instant) -> [String] {
            connections.removeAll { now - $0.since > Self.age || !$0.connection.socket.isOpen }
            return connections.filter { !$0.connection.hasCalls }.map(\.connection.peer)
        }
    }
}
