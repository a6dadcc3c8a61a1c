internal import CGRPC
internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A gRPC server: answers the calls of a set of methods on the threads of a ``CompletionQueueGroup``.
///
/// A server that has been started must be shut down with ``shutDown(gracePeriod:)``; it lives until then. Thread-safe.
///
/// `@unchecked`: the core's server handle is thread-safe once it is started, and `registrations` is set before that.
public final class Server: @unchecked Sendable {
    /// A method that the core knows of. One object, which its calls share without a copy.
    ///
    /// `@unchecked`: the handle is the core's name for the method, never followed, and as good as the server.
    final class Registration: @unchecked Sendable {
        let method: ServerMethod
        let handle: UnsafeMutableRawPointer

        init(method: ServerMethod, handle: UnsafeMutableRawPointer) {
            self.method = method
            self.handle = handle
        }
    }

    let handle: OpaquePointer
    private let group: CompletionQueueGroup
    private let options: ServerOptions
    let interceptors: [ServerInterceptor]
    let acceptor: Acceptor
    private let entrances = Entrance.Maker()
    private let registrations: [Registration]
    private let callCount = Atomic<Int>(0)
    private let listening = Mutex<[String]>([])
    /// Those that have been reset but not cleared away are counted too, hence more than may be open.
    private let maxCallsPerConnection: Int
    private let lifecycle = Mutex(Lifecycle.idle)

    private enum Lifecycle {
        case idle
        case running
        case shuttingDown(Shutdown)
        case shutDown
    }

    private struct Shutdown {
        let wasRunning: Bool
        /// The core has been told.
        var hasBegun = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// - Parameters:
    ///   - methods: What clients can call.
    ///   - interceptors: What sees each call of them, in this order.
    ///   - options: Limits and timing.
    ///   - group: Where the calls are polled and handled.
    /// - Throws: `INVALID_ARGUMENT` if two methods have the same path.
    public init(
        methods: [ServerMethod],
        interceptors: [ServerInterceptor] = [],
        options: ServerOptions = ServerOptions(),
        group: CompletionQueueGroup
    ) throws(RPCError) {
        // Never NULL: it allocates and aborts on failure.
        var arguments = options.arguments
        arguments.set(entrances)
        let handle: OpaquePointer = arguments.withCoreArguments { grpc_server_create($0, nil) }
        var registrations: [Registration] = []
        for method in methods {
            let payload =
                method.readsFirstMessage ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER : GRPC_SRM_PAYLOAD_NONE
            guard let registration = grpc_server_register_method(handle, method.path, nil, payload, 0) else {
                grpc_server_destroy(handle)
                throw RPCError(code: .invalidArgument, message: "the method \(method.path) is there twice")
            }
            registrations.append(Registration(method: method, handle: registration))
        }
        for queue in group.queues {
            grpc_server_register_completion_queue(handle, queue.handle, nil)
        }
        self.handle = handle
        acceptor = Acceptor(server: handle, options: options)
        self.group = group
        self.options = options
        let (double, isTooMuch) = options.maxConcurrentStreamsPerConnection.multipliedReportingOverflow(by: 2)
        maxCallsPerConnection = isTooMuch ? .max : double
        self.interceptors = interceptors
        self.registrations = registrations
    }

    deinit {
        grpc_server_destroy(handle)
    }
}

// MARK: - Start

extension Server {
    /// Listens and answers calls from now on. At most once.
    ///
    /// - Returns: The ports, in the order of the addresses; 0 for a `unix:` address.
    /// - Throws: If it cannot listen on one of the addresses, or the group has been shut down; the server is then shut down.
    ///   Of a second start it is not.
    public func start(listeningOn addresses: [ListenAddress]) async throws(ServerStartError) -> [Int] {
        let ports = lifecycle.withLock { lifecycle -> Result<[Int], ServerStartError> in
            guard case .idle = lifecycle else { return .failure(.notIdle) }
            // From here on the group cannot be shut down: it takes its queues to end what begins here.
            guard group.serverBegan() else { return .failure(.groupIsShutDown) }
            lifecycle = .running
            do throws(ServerStartError) {
                let (ports, sockets) = try listen(on: addresses)
                grpc_server_start(handle)
                postSlots()
                try accept(sockets)
                return .success(ports)
            } catch {
                return .failure(error)
            }
        }
        switch ports {
        case .failure(.notIdle): break
        case .failure: await shutDown(gracePeriod: .zero)
        case .success: break
        }
        return try ports.get()
    }

    private func listen(
        on addresses: [ListenAddress]
    ) throws(ServerStartError) -> (ports: [Int], sockets: [ListeningSocket]) {
        var ports: [Int] = []
        var sockets: [ListeningSocket] = []
        do throws(ServerStartError) {
            for address in addresses {
                let entrance = try entrance(for: address)
                let ours = try address.listen()
                ports.append(Int(ours[0].port))
                for var socket in ours {
                    socket.entrance = entrance
                    sockets.append(socket)
                }
            }
        } catch {
            for socket in sockets { socket.close() }
            throw error
        }
        listening.withLock { $0 = sockets.map(\.address) }
        return (ports, sockets)
    }

    /// Where a server that has been started listens, in numbers: `127.0.0.1:51075`, `[::]:51075`, `unix:/run/socket`.
    public var addresses: [String] { listening.withLock(\.self) }

    private func entrance(for address: ListenAddress) throws(ServerStartError) -> Entrance? {
        if address.credentials.isInsecure { return nil }
        guard let entrance = entrances.make(for: address.credentials, at: handle) else {
            throw .badCredentials(address: address.address)
        }
        return entrance
    }

    private func accept(_ sockets: [ListeningSocket]) throws(ServerStartError) {
        do {
            try acceptor.start(sockets)
        } catch {
            throw .cannotListen(error)
        }
    }

    private func postSlots() {
        for queue in group.queues {
            for registration in registrations {
                for _ in 0..<registration.method.slotCount {
                    ServerCall(server: self, registration: registration, queue: queue).post()
                }
            }
            UnknownMethodCall(server: self, queue: queue).post()
        }
    }

    /// A call has arrived; ``callEnded(on:)`` must follow. `false` if there are too many.
    func callBegan(on connection: Connection?) -> Bool {
        let isFew = callCount.add(1, ordering: .relaxed).newValue <= options.maxConcurrentCalls
        let isFewHere = connection?.callBegan(limit: maxCallsPerConnection) ?? true
        return isFew && isFewHere
    }

    func callEnded(on connection: Connection?) {
        callCount.subtract(1, ordering: .relaxed)
        connection?.callEnded()
    }

    /// The number of calls that are open.
    public var openCalls: Int { callCount.load(ordering: .relaxed) }
}

// MARK: - Shutdown

extension Server {
    /// Stops listening, lets open calls go on for up to `gracePeriod`, then cancels those left, and ends the connections that
    /// have not sent everything half a second later: their peers do not read.
    ///
    /// Returns when all connections are closed. The handlers' tasks have been cancelled then, or are about to be; one that
    /// does not heed that may still be running. Call it before the shutdown of the group. The shortest grace period counts,
    /// if it is called several times.
    public func shutDown(gracePeriod: Duration) async {
        lifecycle.withLock { lifecycle in
            switch lifecycle {
            case .idle: lifecycle = .shuttingDown(Shutdown(wasRunning: false))
            case .running: lifecycle = .shuttingDown(Shutdown(wasRunning: true))
            case .shuttingDown, .shutDown: break
            }
        }
        await acceptor.stop()
        beginShutdown()
        // The core takes a cancellation only after that.
        let cancellation = Task {
            try await Task.sleep(for: gracePeriod)
            grpc_server_cancel_all_calls(handle)
            try await Task.sleep(for: CompletionQueueGroup.farewell)
            acceptor.disconnect()
        }
        await withCheckedContinuation { continuation in
            let isComplete = lifecycle.withLock { lifecycle in
                guard case .shuttingDown(var shutdown) = lifecycle else { return true }
                shutdown.waiting.append(continuation)
                lifecycle = .shuttingDown(shutdown)
                return false
            }
            if isComplete { continuation.resume() }
        }
        cancellation.cancel()
    }

    private func beginShutdown() {
        let canBegin = lifecycle.withLock { lifecycle in
            guard case .shuttingDown(var shutdown) = lifecycle, !shutdown.hasBegun else { return true }
            shutdown.hasBegun = true
            lifecycle = .shuttingDown(shutdown)
            return ServerShutdown(server: self, queue: group.queues[0]).start()
        }
        if !canBegin { shutdownCompleted() }
    }

    /// The core has let go of all connections, or there is no queue any more on which it could say so.
    func shutdownCompleted() {
        let waiting = lifecycle.withLock { lifecycle -> [CheckedContinuation<Void, Never>] in
            guard case .shuttingDown(let shutdown) = lifecycle else { return [] }
            lifecycle = .shutDown
            // Before anybody can see that this server has ended.
            if shutdown.wasRunning { group.serverEnded() }
            return shutdown.waiting
        }
        for continuation in waiting {
            continuation.resume()
        }
    }
}
