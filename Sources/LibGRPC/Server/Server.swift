internal import CGRPC
internal import Glibc
internal import Synchronization

/// A gRPC server that answers the calls of its methods on the threads of a ``CompletionQueueGroup``.
///
/// Once started, a server lives until you shut it down with ``shutDown(gracePeriod:)``. Thread-safe.
///
/// `@unchecked`: the core's server handle is thread-safe once it is started. `registrations` is set before that.
public final class Server: @unchecked Sendable {
    /// A method as registered with the core. Its calls share one object, without copying it.
    ///
    /// `@unchecked`: the handle is the core's ID of the method. It is never dereferenced, and lives as long as the
    /// server.
    final class Registration: @unchecked Sendable {
        let method: ServerMethod
        /// `nil` for calls of any method that is not registered.
        let handle: UnsafeMutableRawPointer?

        init(method: ServerMethod, handle: UnsafeMutableRawPointer?) {
            self.method = method
            self.handle = handle
        }
    }

    let handle: OpaquePointer
    let group: CompletionQueueGroup
    let options: ServerOptions
    let interceptors: [ServerInterceptor]
    /// Those of the interceptors. Mostly there is none.
    let admissions: [ServerInterceptor.Admission]
    let acceptor: Acceptor
    let externalListeners = ExternalListener.Factory()
    let registrations: [Registration]
    /// Calls that have arrived and have not been refused.
    let callCount = Atomic<Int>(0)
    /// New calls are refused from now on.
    let isEnding = Atomic<Bool>(false)
    /// For each queue, its calls that wait for their first message.
    let awaited: [AwaitedCalls]
    let ticking = Mutex<Task<Void, Never>?>(nil)
    let floodGuard = FloodGuard()
    let tick: Duration
    /// How many ticks a first message may take.
    let firstMessageTicks: Int
    /// The same for a call whose method is unknown.
    let unknownMethodTicks = 2
    let listening = Mutex<[String]>([])
    /// Twice the limit of open calls, because calls that were reset but not freed yet count too.
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
        /// The core's shutdown has begun.
        var hasBegun = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// Creates a server that does not listen yet.
    /// - Parameters:
    ///   - methods: The methods that clients can call.
    ///   - interceptors: They see each call, in this order.
    ///   - options: Limits and timeouts.
    ///   - group: Polls and handles the calls.
    /// - Throws: `INVALID_ARGUMENT` if two methods have the same path, or two handle any method.
    public init(
        methods: [ServerMethod],
        interceptors: [ServerInterceptor] = [],
        options: ServerOptions = ServerOptions(),
        group: CompletionQueueGroup
    ) throws(RPCError) {
        // Never NULL: the core aborts if it cannot allocate.
        var arguments = options.arguments
        if group.transport == .full { arguments.set(externalListeners) }
        // For addresses where the core listens itself: another server's port is taken.
        arguments.set(GRPC_ARG_ALLOW_REUSEPORT, false)
        let handle: OpaquePointer = arguments.withCoreArguments { grpc_server_create($0, nil) }
        var registrations: [Registration] = []
        for method in methods {
            guard let path = method.path else { continue }
            // The core could receive the first message too, but it would hide the call until then.
            let registration = grpc_server_register_method(handle, path, nil, GRPC_SRM_PAYLOAD_NONE, 0)
            guard let registration else {
                grpc_server_destroy(handle)
                throw RPCError(code: .invalidArgument, message: "the method \(path) is there twice")
            }
            registrations.append(Registration(method: method, handle: registration))
        }
        let others = methods.filter { $0.path == nil }
        guard others.count < 2 else {
            grpc_server_destroy(handle)
            throw RPCError(code: .invalidArgument, message: "the handler of any method is there twice")
        }
        // Without an answer, the core would keep calls of unknown methods open for ever, without a limit.
        registrations.append(Registration(method: others.first ?? .unknown, handle: nil))
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
        admissions = interceptors.compactMap(\.admit)
        self.registrations = registrations
        awaited = group.queues.map(AwaitedCalls.init)
        if let timeout = options.firstMessageTimeout {
            tick = max(min(.seconds(1), timeout / 4), .milliseconds(1))
            firstMessageTicks = Int(min((timeout / tick).rounded(.up), Double(Int32.max)))
        } else {
            tick = .seconds(1)
            firstMessageTicks = .max
        }
    }

    deinit {
        grpc_server_destroy(handle)
    }
}

// MARK: - Calls

extension Server {
    /// The number of open calls.
    public var openCalls: Int { callCount.load(ordering: .relaxed) }

    /// The number of open connections. It looks at each of them. Those that the core accepted itself are not there.
    package var openConnections: Int { acceptor.all.count { $0.socket.isOpen } }

    /// The number of connections accepted since the start.
    package var acceptedConnections: Int { acceptor.accepted.load(ordering: .relaxed) }

    var maxReceivedMessageSize: Int { options.maxReceiveMessageSize }

    /// Counts a call that has arrived. Returns why it must be refused, if so. ``callEnded()`` must follow, here and on
    /// the connection.
    func callBegan(on connection: Connection?, metadataSize: Int) -> RefusedCall.Reason? {
        // In this order: a shutdown that sees no open call has also seen the last one that was admitted.
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

    func callRefused(_ reason: RefusedCall.Reason, _ code: Status.Code) {
        for interceptor in interceptors { interceptor.callRefused(RefusedCall(reason: reason, code: code)) }
    }
}

/// Why a server did not start.
public enum ServerStartError: Error, Sendable, CustomStringConvertible {
    /// The address is in use, not permitted or invalid.
    case cannotListen(SystemError)
    /// The certificate, key or authorities for an address are invalid or do not match. ``CoreLog`` has the details.
    case badCredentials(address: String)
    /// The server's ``CompletionQueueGroup`` has been shut down.
    case groupIsShutDown
    /// The server has been started or shut down before.
    case notIdle

    /// One sentence for people.
    public var description: String {
        switch self {
        case .cannotListen(let error): "\(error)"
        case .badCredentials(let address): "the TLS certificate, key or authorities for \(address) cannot be used"
        case .groupIsShutDown: "the server's completion queues have been shut down"
        case .notIdle: "the server has been started or shut down before"
        }
    }
}
