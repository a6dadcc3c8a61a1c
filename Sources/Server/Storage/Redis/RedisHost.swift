import Dispatch
import LibGRPC
import Glibc
import Redis
import Synchronization

/// The Redis server that has the room. Thread-safe.
final class RedisHost: Sendable {
    let address: RedisAddress
    private let resolver: HostResolver
    private let tls: RedisTLS?

    /// The longest that Redis may take for a reply.
    private static let timeout = Duration.seconds(5)

    /// - Parameter tls: `nil` for no TLS.
    init(_ address: RedisAddress, tls: RedisTLS? = nil) {
        self.address = address
        self.tls = tls
        resolver = HostResolver(address.host)
    }

    /// Connects to the first of the host's addresses that accepts. Blocks.
    func connect(interrupt: RedisInterrupt? = nil) throws(RedisError) -> RedisConnection {
        var lastError = RedisError(description: "\(address.host) has no address")
        for host in try addresses() {
            do throws(RedisError) {
                return try RedisConnection(
                    host: host,
                    port: address.port,
                    timeout: Self.timeout,
                    interrupt: interrupt,
                    tls: tls.map { ($0, name: address.host) }
                )
            } catch {
                if interrupt?.isTriggered == true { throw error }
                lastError = error
            }
        }
        throw lastError
    }

    private func addresses() throws(RedisError) -> [String] {
        do throws(ResolverError) {
            return try resolver.addresses()
        } catch {
            throw RedisError(description: error.description)
        }
    }
}

/// Resolves a host name with a timeout, and falls back to the last result. `getaddrinfo` has no timeout: it takes a
/// minute if no name server answers.
///
/// Thread-safe. One query is in progress at a time, on a thread of its own. All callers wait for the same one.
final class HostResolver: Sendable {
    typealias Resolve = @Sendable (_ name: String) throws(ResolverError) -> [String]

    private final class Query: Sendable {
        private let result = Mutex<Result<[String], ResolverError>?>(nil)
        /// Signalled once. Each waiter signals it again for the next one.
        private let finished = DispatchSemaphore(value: 0)

        func finish(_ result: Result<[String], ResolverError>) {
            self.result.withLock { $0 = result }
            finished.signal()
        }

        /// `nil` after a timeout.
        func result(timeout: Duration) -> Result<[String], ResolverError>? {
            let nanoseconds = Int(timeout / .nanoseconds(1))
            guard finished.wait(timeout: .now() + .nanoseconds(nanoseconds)) == .success else { return nil }
            finished.signal()
            return result.withLock { $0 }
        }
    }

    private struct State {
        /// The result of the last query that succeeded.
        var cached: [String] = []
        var pending: Query?
    }

    private let name: String
    private let timeout: Duration
    private let initialTimeout: Duration
    private let resolve: Resolve
    private let state = Mutex(State())

    /// - Parameters:
    ///   - timeout: How long to wait before the cached addresses are used.
    ///   - initialTimeout: How long to wait while there are no cached addresses.
    init(
        _ name: String,
        timeout: Duration = .seconds(1),
        initialTimeout: Duration = .seconds(5),
        resolve: @escaping Resolve = HostResolver.systemResolve
    ) {
        self.name = name
        self.timeout = timeout
        self.initialTimeout = initialTimeout
        self.resolve = resolve
    }

    /// The current addresses, or the cached ones if no name server answers in time.
    func addresses() throws(ResolverError) -> [String] {
        let (query, cached) = state.withLock { state in
            if state.pending == nil { state.pending = startQuery() }
            return (state.pending, state.cached)
        }
        switch query?.result(timeout: cached.isEmpty ? initialTimeout : timeout) {
        case .success(let addresses): return addresses
        case .failure(let error) where cached.isEmpty || !error.isTemporary: throw error
        case nil where cached.isEmpty: throw .noAnswer(name)
        case .failure, nil: return cached
        }
    }

    /// `nil` if the system cannot start a thread.
    private func startQuery() -> Query? {
        let query = Query()
        do {
            try Thread.start(named: "history-lookup") { [self] in
                do throws(ResolverError) {
                    finish(query, .success(try resolve(name)))
                } catch {
                    finish(query, .failure(error))
                }
            }
        } catch {
            return nil
        }
        return query
    }

    private func finish(_ query: Query, _ result: Result<[String], ResolverError>) {
        state.withLock { state in
            state.pending = nil
            if case .success(let addresses) = result { state.cached = addresses }
        }
        query.finish(result)
    }
}

/// Why a host name cannot be resolved.
struct ResolverError: Error, CustomStringConvertible {
    let description: String
    /// Whether the name may still exist.
    let isTemporary: Bool

    static func noAnswer(_ name: String) -> ResolverError {
        ResolverError(description: "no name server has answered for \(name)", isTemporary: true)
    }
}

extension HostResolver {
    /// Asks the system, without a timeout. Like hiredis, it uses IPv6 only if there is no IPv4 address: if a network
    /// drops IPv6 packets, every connection would first wait for that.
    static func systemResolve(_ name: String) throws(ResolverError) -> [String] {
        do throws(ResolverError) {
            return try systemResolve(name, AF_INET)
        } catch {
            guard !error.isTemporary else { throw error }
            return try systemResolve(name, AF_INET6)
        }
    }

    private static func systemResolve(_ name: String, _ family: Int32) throws(ResolverError) -> [String] {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard code == 0 else {
            let isTemporary = code == EAI_AGAIN || code == EAI_SYSTEM || code == EAI_MEMORY
            let description = "\(name): \(String(cString: gai_strerror(code)))"
            throw ResolverError(description: description, isTemporary: isTemporary)
        }
        return sequence(first: first, next: { $0?.pointee.ai_next }).compactMap { $0.flatMap(numericAddress) }
    }

    private static func numericAddress(_ info: UnsafeMutablePointer<addrinfo>) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { text -> String? in
            guard let start = text.baseAddress else { return nil }
            let (address, length) = (info.pointee.ai_addr, info.pointee.ai_addrlen)
            let code = getnameinfo(address, length, start, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            return code == 0 ? String(cString: start) : nil
        }
    }
}
