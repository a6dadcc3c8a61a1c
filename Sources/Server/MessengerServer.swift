import LibGRPC
import GRPCServices
import Logging
import Messenger
import ServiceLifecycle

/// Runs the gRPC server. On shutdown it stores what waits, ends the streams and gives other calls some time to finish.
struct MessengerServer: Service {
    let settings: ServerSettings
    let credentials: ServerCredentials
    /// `nil` if calls need no token.
    let tokens: AccessTokens?
    /// `nil` to count nothing.
    let metrics: ServerMetrics?
    let logger: Logger

    /// How long open calls may go on during a shutdown.
    private static let gracePeriod = Duration.seconds(3)
    /// The shutdown does not wait longer than this for the history to close.
    private static let historyTimeout = Duration.seconds(3)
    /// The time for the whole shutdown. Container engines kill after 10 s.
    private static let shutdownTimeout = Duration.seconds(8)

    func run() async throws {
        let group = try CompletionQueueGroup()
        let readers = Broadcast(group: group)
        let health = HealthService()
        health.set(.serving, for: MessengerMethods.service)
        let room: Room<ByteBuffer>
        do {
            room = try await makeRoom(readers, health)
        } catch {
            await group.shutDown()
            // SIGTERM interrupts the check of a large history file.
            if Task.isShuttingDownGracefully { return logger.info("stopped before the history was open") }
            throw error
        }
        let service = MessengerService(
            room: room,
            limits: settings.shared.messageLimits,
            readers: readers,
            cursors: metrics.map { _ in .init() }
        )
        let reflection = try ReflectionService(descriptorSets: [Descriptors.messenger])
        let methods = service.methods + health.methods + reflection.methods
        let calls = metrics.map { _ in CallMetrics(methods) }
        let log = CallLog(logger, metrics: calls)
        let access = tokens.map { CallAccess(tokens: $0).interceptor }
        let interceptors = [log.interceptor] + (access.map { [$0] } ?? [])
        let server = try Server(methods: methods, interceptors: interceptors, options: options, group: group)
        if let metrics, let calls {
            metrics.observe(room)
            metrics.observe(service, log, calls)
            metrics.observe(server, limit: options.possibleConnections)
        }

        do {
            _ = try await server.start(listeningOn: addresses)
        } catch {
            await room.store?.close()
            await group.shutDown()
            switch error {
            case .badCredentials: throw StartError(.badConfiguration, "Cannot serve: \(error)")
            case .cannotListen(let error): throw cannotListen(error)
            default: throw StartError(.unavailable, "Cannot serve: \(error)")
            }
        }
        metrics?.readiness.started()
        logger.info("listening", metadata: startMetadata(addresses: server.addresses))
        if room.store == nil {
            logger.info(
                "the history is in memory only: a restart forgets it",
                metadata: ["setting": "MESSENGER_HISTORY"]
            )
        }
        // With client certificates, not everybody may call.
        if tokens != nil || settings.tlsClientAuthorities == .none {
            logger.noticeAccess(
                hasTokens: tokens != nil,
                isPrivate: settings.usesTLS || settings.serverHost.isLoopback,
                tokens: "MESSENGER_TOKENS_FILE",
                encryption: "MESSENGER_TLS_CERT"
            )
        }
        if options.possibleConnections < options.maxConnections {
            logger.warning(
                "the limit of file descriptors allows fewer connections than MESSENGER_MAX_CONNECTIONS",
                metadata: ["connections": "\(options.possibleConnections)"]
            )
        }

        let reporting = Task { await log.reportRefusals() }
        try? await gracefulShutdown()
        metrics?.readiness.stopping()
        logger.info("stopping", metadata: ["openCalls": "\(server.openCalls)"])
        reporting.cancel()
        health.shutDown()
        let isComplete = await finishes(within: Self.shutdownTimeout) {
            await shutDown(room, server)
            await group.shutDown()
        }
        if !isComplete { logger.error("the shutdown took too long; exiting before it is complete") }
        log.reportLastRefusals()
        let counts = ["calls": log.calls, "failedCalls": log.failedCalls, "refusedCalls": log.refusedCalls]
        logger.info("stopped", metadata: counts.mapValues { "\($0)" })
    }

    private func shutDown(_ room: Room<ByteBuffer>, _ server: Server) async {
        // The store first: messages that wait are stored, and reach the streams before these end.
        if let store = room.store, await !finishes(within: Self.historyTimeout, { await store.close() }) {
            logger.error("the history took too long to close; stopping without it")
        }
        room.close()
        await server.shutDown(gracePeriod: Self.gracePeriod)
    }

    private func makeRoom(_ readers: Broadcast, _ health: HealthService) async throws(StartError) -> Room<ByteBuffer> {
        let storageHealth = StorageHealth { works in
            health.set(works ? .serving : .notServing, for: MessengerMethods.service)
            metrics?.readiness.set(isWritable: works)
        }
        let store = try await settings.history.openStore(logger: logger, health: storageHealth)
        let room = Room<ByteBuffer>(
            limits: .init(messages: settings.historyMessages.number, bytes: settings.historyBytes.bytes),
            keys: settings.history.keyLimits,
            store: store,
            start: store?.latest,
            clock: { store?.now ?? .now() },
            onChange: { readers.notify() }
        ) { message in
            let encoded = message.encoded()
            return (encoded, encoded.count)
        }
        try store?.follow(into: room.tail)
        return room
    }

    private var options: ServerOptions {
        var options = ServerOptions()
        // Twice what both texts may have, so that a text that is slightly too long gets an error that names the limit.
        options.maxReceiveMessageSize =
            max(1 << 20, 2 * (settings.shared.maxAuthorBytes.bytes + settings.shared.maxTextBytes.bytes))
        options.resourceQuota = ResourceQuota(bytes: settings.connectionBytes.bytes)
        options.maxConnections = settings.maxConnections.number
        options.maxConcurrentStreamsPerConnection = settings.maxStreams.number
        options.maxConcurrentCalls = settings.maxCalls.number
        return options
    }

    private var addresses: [ListenAddress] {
        let address = settings.serverHost.address(port: settings.serverPort)
        var addresses = [ListenAddress(address, credentials: credentials)]
        if let socket = settings.serverSocket.path { addresses.append("unix:\(socket)") }
        return addresses
    }

    private func cannotListen(_ error: SystemError) -> StartError {
        guard let path = settings.serverSocket.path, error.action == "listening on unix:\(path)" else {
            return .cannotListen(error, hostVariable: "MESSENGER_SERVER_HOST", portVariable: "MESSENGER_SERVER_PORT")
        }
        return StartError(.unavailable, "Cannot serve: \(error). Choose another path with MESSENGER_SERVER_SOCKET.")
    }

    private func startMetadata(addresses: [String]) -> Logger.Metadata {
        var metadata = settings.settingsMetadata
        metadata["version"] = "\(Version.current)"
        metadata["address"] = "\(addresses.filter { !$0.hasPrefix("unix:") }.joined(separator: ","))"
        return metadata
    }
}
