import Redis

/// The Redis that keeps a room, and how to get through to it. Thread-safe.
final class RedisHost: Sendable {
    let address: RedisAddress
    private let lookup: HostLookup

    /// No answer of Redis may take longer.
    private static let patience = Duration.seconds(5)

    init(_ address: RedisAddress, lookup: HostLookup? = nil) {
        self.address = address
        self.lookup = lookup ?? HostLookup(address.host)
    }

    /// Connects to the first of the host's addresses at which somebody answers. Blocks.
    func connect(interrupt: RedisInterrupt? = nil) throws(RedisError) -> RedisConnection {
        var refusal = RedisError(description: "\(address.host) has no address")
        for host in try addresses() {
            do throws(RedisError) {
                return try RedisConnection(
                    host: host,
                    port: address.port,
                    timeout: Self.patience,
                    interrupt: interrupt
                )
            } catch {
                if interrupt?.isTriggered == true { throw error }
                refusal = error
            }
        }
        throw refusal
    }

    private func addresses() throws(RedisError) -> [String] {
        do throws(LookupError) {
            return try lookup.addresses()
        } catch {
            throw RedisError(description: error.description)
        }
    }
}
