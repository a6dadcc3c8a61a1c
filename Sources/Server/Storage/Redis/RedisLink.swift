import Redis

/// A room's stream over a connection that is made when it is first needed, and again after it has failed or ended: Redis
/// may have been restarted since it was last used.
struct RedisLink {
    private let host: RedisHost
    private let interrupt: RedisInterrupt
    private var connected: RedisStream?

    init(_ host: RedisHost, _ interrupt: RedisInterrupt) {
        self.host = host
        self.interrupt = interrupt
    }

    /// The stream. Blocks while it connects.
    mutating func stream() throws(RedisError) -> RedisStream {
        if let connected, !connected.connection.hasEnded { return connected }
        let stream = try RedisStream(at: host, interrupt: interrupt)
        connected = stream
        return stream
    }

    /// Lets go of a connection that has failed.
    mutating func drop() { connected = nil }
}
