internal import CGRPC
internal import Glibc
internal import Synchronization

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
    let group: CompletionQueueGroup
    let options: ServerOptions
    let interceptors: [ServerInterceptor]
    let acceptor: Acceptor
    private let entrances = Entrance.Maker()
    private let registrations: [Registration]
    /// Calls that have arrived and have not been refused.
    let callCount = Atomic<Int>(0)
    /// Calls that arrive are refused from now on.
    let isEnding = Atomic<Bool>(false)
    /// A place for each queue's calls without a message, and what ends them.
    let awaited: [AwaitedCalls]
    let ticking = Mutex<[Task<Void, Never>]>([])
    private let tick: Duration
    /// How long a first message may take, in ticks; and that of a call whose method is unknown.
    let firstMessageTicks: Int
    let unknownMethodTicks = 2
    private let listening = Mutex<[String]>([])
    /// Those that have been reset but not cleared away are counted too, hence more than may be open.
    private let maxCallsPerConnection: Int
    let lifecycle = Mutex(Lifecycle.idle)

    enum Lifecycle {
        case idle
        case running
        case shuttingDown(Shutdown)
        case shutDown
    }

    struct Shutdown {
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
            // The core could wait for the first message too, but as long as that takes it would not show us the call.
            let registration = grpc_server_register_method(handle, method.path, nil, GRPC_SRM_PAYLOAD_NONE, 0)
            guard let registration else {
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
        awaited = group.queues.map(AwaitedCalls.init)
        if let timeout = options.firstMessageTimeout {
            tick = max(min(.seconds(1), timeout / 4), .milliseconds(1))
            firstMessageTicks = Int((timeout / tick).rounded(.up))
        } else {
            tick = .seconds(1)
            firstMessageTicks = .max
        }
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
                startTicking()
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
        for awaited in awaited {
            for registration in registrations {
                for _ in 0..<registration.method.slotCount {
                    ServerCall(server: self, registration: registration, awaited: awaited).post()
                }
            }
            UnknownMethodCall(server: self, awaited: awaited).post()
        }
    }

    private func startTicking() {
        let task = Task {
            while true {
                do { try await Task.sleep(for: tick) } catch { return }
                for awaited in awaited { awaited.tick(isEnding: false) }
            }
        }
        let guarding = Task {
            var floodGuard = FloodGuard(queues: group.queues)
            while true {
                do { try await Task.sleep(for: FloodGuard.interval) } catch { return }
                floodGuard.look(at: acceptor)
            }
        }
        ticking.withLock { $0 = [task, guarding] }
    }
}

// MARK: - Calls

extension Server {
    /// The number of calls that are open.
    public var openCalls: Int { callCount.load(ordering: .relaxed) }

    var maxReceivedMessageSize: Int { options.maxReceiveMessageSize }

    /// A call has arrived; ``callEnded()`` must follow, and that of the connection. Returns why it is refused, if it is.
    func callBegan(on connection: Connection?, metadataSize: Int) -> RefusedCall.Reason? {
        // In this order: who has seen that the server is ending, and that no call is open, has seen the last one.
        let count = callCount.add(1, ordering: .sequentiallyConsistent).newValue
        let isEnding = isEnding.load(ordering: .sequentiallyConsistent)
        if let connection, !connection.callBegan(limit: maxCallsPerConnection) { return .tooManyCallsOnConnection }
        if isEnding { return .shuttingDown }
        if metadataSize > options.maxMetadataSize { return .tooMuchMetadata }
        return count > options.maxConcurrentCalls ? .tooManyCalls : nil
    }

    func callEnded() {
        callCount.subtract(1, ordering: .sequentiallyConsistent)
    }

    func callRefused(_ reason: RefusedCall.Reason) {
        for interceptor in interceptors { interceptor.callRefused(RefusedCall(reason: reason)) }
    }
}
