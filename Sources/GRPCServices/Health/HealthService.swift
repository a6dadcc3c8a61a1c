public import GRPC
internal import Synchronization

/// `grpc.health.v1.Health`: tells clients and load balancers whether a server and its services serve. Thread-safe.
///
/// Add ``methods`` to a server, say which services there are with ``set(_:for:)``, and call ``shutDown()`` before the
/// server's own shutdown, so that nobody sends new calls.
public final class HealthService: Sendable {
    private struct State {
        var statuses: [Name: ServingStatus] = ["": .serving]
        var watchers: [Int: Watcher] = [:]
        var nextWatcher = 0
        var isShutDown = false
    }

    private struct Watcher {
        var service: Name
        var updates: AsyncStream<ServingStatus>.Continuation
    }

    private let state = Mutex(State())

    /// The server as a whole serves from the beginning.
    public init() {}

    /// Sets the status of a service, or of the server as a whole. Does nothing after ``shutDown()``.
    /// - Parameter service: The service's full name, of 256 bytes at the most; empty for the server as a whole.
    public func set(_ status: ServingStatus, for service: String = "") {
        let service = Name(service)
        guard !service.isTooLong else { return }
        state.withLock { state in
            guard !state.isShutDown else { return }
            state.statuses[service] = status
            for watcher in state.watchers.values where watcher.service == service { watcher.updates.yield(status) }
        }
    }

    /// Sets all services to ``ServingStatus/notServing`` for good, tells those who watch, and ends their streams.
    public func shutDown() {
        state.withLock { state in
            state.isShutDown = true
            state.statuses = state.statuses.mapValues { _ in .notServing }
            for watcher in state.watchers.values {
                watcher.updates.yield(state.statuses[watcher.service] ?? .serviceUnknown)
                watcher.updates.finish()
            }
        }
    }

    /// What a server needs to offer the service.
    public var methods: [ServerMethod] {
        [
            .unary(HealthMethods.check, immediateHandler: { request, _ in try self.check(request) }).slots(4),
            .serverStreaming(HealthMethods.watch) { request, writer, _ in
                try await self.watch(request.service, writer)
            }
            .slots(4),
        ]
    }

    private func check(_ request: HealthCheckRequest) throws(RPCError) -> HealthCheckResponse {
        guard let status = state.withLock({ $0.statuses[request.service] }) else {
            throw RPCError(code: .notFound, message: "unknown service")
        }
        return HealthCheckResponse(status: status)
    }

    private func watch(_ service: Name, _ writer: ResponseWriter<HealthCheckResponse>) async throws {
        // Only the latest matters to one who has not read the one before.
        let (updates, continuation) = AsyncStream.makeStream(
            of: ServingStatus.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = state.withLock { state in
            continuation.yield(state.statuses[service] ?? .serviceUnknown)
            if state.isShutDown { continuation.finish() }
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = Watcher(service: service, updates: continuation)
            return state.nextWatcher
        }
        defer { state.withLock { _ = $0.watchers.removeValue(forKey: id) } }
        var last: ServingStatus?
        for await status in updates where status != last {
            try await writer.write(HealthCheckResponse(status: status))
            last = status
        }
        try Task.checkCancellation()
        throw RPCError(code: .unavailable, message: "the server is shutting down")
    }
}
