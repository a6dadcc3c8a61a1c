internal import CGRPCServices
public import LibGRPC
internal import Synchronization

/// Whether a service accepts calls.
public enum ServingStatus: Int32, Sendable, Hashable {
    case unknown = 0
    case serving = 1
    case notServing = 2
    /// The server does not know the service (yet).
    case serviceUnknown = 3
}

/// `grpc.health.v1.Health`: tells clients and load balancers whether a server and its services accept calls. Thread-safe.
///
/// Add ``methods`` to a server, and set the status of its services with ``set(_:for:)``. Call ``shutDown()`` before the
/// server's own shutdown, so that no new calls are sent.
public final class HealthService: Sendable {
    private struct State {
        var statuses: [Name: ServingStatus] = ["": .serving]
        var watchers: [Int: Watcher] = [:]
        var lastID = 0
        var isShutDown = false
    }

    private struct Watcher {
        var service: Name
        var updates: AsyncStream<ServingStatus>.Continuation
    }

    private let state = Mutex(State())

    /// The server as a whole is serving from the start.
    public init() {}

    /// Sets the status of a service. Does nothing after ``shutDown()``.
    /// - Parameter service: The service's full name, of at most 256 bytes; empty for the server as a whole.
    public func set(_ status: ServingStatus, for service: String = "") {
        let service = Name(service)
        guard !service.isTooLong else { return }
        state.withLock { state in
            guard !state.isShutDown else { return }
            state.statuses[service] = status
            for watcher in state.watchers.values where watcher.service == service { watcher.updates.yield(status) }
        }
    }

    /// Sets all services to ``ServingStatus/notServing`` for good, notifies watchers, and ends their streams.
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

    /// The service's methods, for a server.
    public var methods: [ServerMethod] {
        [
            .responder(HealthMethods.check) { request, _, reply in
                reply.complete { try self.check(request) }
            }
            .slots(4),
            .serverStreaming(HealthMethods.watch) { request, writer, _ in
                try await self.watch(request.service, writer)
            }
            .slots(4),
        ]
    }

    /// Asks another server for the status of one of its services.
    /// - Parameter service: The service's full name; empty for the server as a whole.
    /// - Throws: `RPCError`, with `NOT_FOUND` if the server does not know the service.
    public static func status(
        of service: String = "",
        on channel: Channel,
        options: CallOptions = CallOptions()
    ) async throws -> ServingStatus {
        let request = HealthCheckRequest(service: Name(service))
        return try await channel.unary(HealthMethods.check, request, options: options).status
    }

    private func check(_ request: HealthCheckRequest) throws(RPCError) -> HealthCheckResponse {
        guard let status = state.withLock({ $0.statuses[request.service] }) else {
            throw RPCError(code: .notFound, message: "unknown service")
        }
        return HealthCheckResponse(status: status)
    }

    private func watch(_ service: Name, _ writer: ResponseWriter<HealthCheckResponse>) async throws {
        // A slow reader needs only the latest status.
        let (updates, continuation) = AsyncStream.makeStream(
            of: ServingStatus.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = state.withLock { state in
            continuation.yield(state.statuses[service] ?? .serviceUnknown)
            if state.isShutDown { continuation.finish() }
            state.lastID += 1
            state.watchers[state.lastID] = Watcher(service: service, updates: continuation)
            return state.lastID
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

// MARK: - Methods and messages

enum HealthMethods {
    static let service = "grpc.health.v1.Health"
    static let check = MethodDescriptor<HealthCheckRequest, HealthCheckResponse>(service: service, method: "Check")
    static let watch = MethodDescriptor<HealthCheckRequest, HealthCheckResponse>(service: service, method: "Watch")
}

struct HealthCheckRequest: WireMessage {
    /// Empty for the server as a whole.
    var service: Name

    init(service: Name) {
        self.service = service
    }

    init(decoding buffer: ByteBuffer) throws {
        service = try buffer.unpacked {
            grpc__health__v1__health_check_request__unpack(nil, $0, $1)
        } free: {
            grpc__health__v1__health_check_request__free_unpacked($0, nil)
        } _: { message in
            message.service.name
        }
    }

    func encoded() -> ByteBuffer {
        let arena = ProtobufArena()
        defer { extendLifetime(arena) }
        var message = Grpc__Health__V1__HealthCheckRequest()
        grpc__health__v1__health_check_request__init(&message)
        message.service = arena.name(service)
        return ByteBuffer(
            packing: &message,
            size: grpc__health__v1__health_check_request__get_packed_size,
            grpc__health__v1__health_check_request__pack
        )
    }
}

struct HealthCheckResponse: WireMessage {
    var status: ServingStatus

    init(status: ServingStatus) {
        self.status = status
    }

    init(decoding buffer: ByteBuffer) throws {
        let number = try buffer.unpacked {
            grpc__health__v1__health_check_response__unpack(nil, $0, $1)
        } free: {
            grpc__health__v1__health_check_response__free_unpacked($0, nil)
        } _: { message in
            Int32(bitPattern: message.status.rawValue)
        }
        status = ServingStatus(rawValue: number) ?? .unknown
    }

    func encoded() -> ByteBuffer {
        var message = Grpc__Health__V1__HealthCheckResponse()
        grpc__health__v1__health_check_response__init(&message)
        message.status = Grpc__Health__V1__HealthCheckResponse__ServingStatus(UInt32(bitPattern: status.rawValue))
        return ByteBuffer(
            packing: &message,
            size: grpc__health__v1__health_check_response__get_packed_size,
            grpc__health__v1__health_check_response__pack
        )
    }
}
