import struct GRPC.ListeningSocket
import Glibc
import Logging
import Messenger
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// The client's HTTP server.
///
/// On a graceful shutdown it takes no more connections and ends after the requests in progress.
struct HTTPServer: Service {
    private let settings: ClientSettings
    private let service: HTTPService
    private let logger: Logger
    private let onRunning: @Sendable ([ListeningSocket]) async -> Void

    /// - Parameter onRunning: Called once the server listens, with the sockets.
    init(
        settings: ClientSettings,
        inbox: Inbox,
        room: some RemoteRoom,
        logger: Logger,
        onRunning: @escaping @Sendable ([ListeningSocket]) async -> Void = { _ in }
    ) {
        let memory = HTTPMemory(limit: settings.httpLimits.memoryBytes)
        self.settings = settings
        self.service = HTTPService(
            route: Routes(room: room, inbox: inbox, memory: memory, settings: settings).route(for:),
            limits: settings.httpLimits,
            memory: memory,
            allowedHosts: settings.httpAllowedHosts,
            greatestBodyBytes: settings.shared.messageLimits.greatestBodyBytes,
            opening: room.firstOpening,
            openTimeout: settings.openTimeout
        )
        self.logger = logger
        self.onRunning = onRunning
    }

    /// Serves until a graceful shutdown. When the task is cancelled, connections are closed, and the log says so.
    ///
    /// - Throws: ``StartError`` if it cannot listen.
    func run() async throws {
        let sockets = try settings.httpHost.listen(
            port: settings.httpPort,
            hostVariable: "MESSENGER_HTTP_HOST",
            portVariable: "MESSENGER_HTTP_PORT"
        )
        let loops = MultiThreadedEventLoopGroup.singleton
        let limits = self.settings.httpLimits
        let connections = HTTPConnections(maximum: limits.possibleConnections, reserve: limits.reservedConnections)
        let bootstrap = self.bootstrap(loops, connections)
        var listeners: [any Channel] = []
        for socket in sockets { listeners.append(try await bootstrap.withBoundSocket(socket.descriptor).get()) }
        await self.onRunning(sockets)
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                // Also when the task has been cancelled.
                await withCheckedContinuation { ended in _ = connections.over.whenOpen { ended.resume() } }
            } onGracefulShutdown: { [listeners] in
                for listener in listeners { listener.close(promise: nil) }
                connections.quiesce()
            }
        } onCancel: { [listeners] in
            for listener in listeners { listener.close(promise: nil) }
            connections.cancel()
        }
        if Task.isCancelled { self.logger.warning("requests were still in progress") }
    }

    private func bootstrap(_ loops: MultiThreadedEventLoopGroup, _ connections: HTTPConnections) -> ServerBootstrap {
        ServerBootstrap(group: loops.any(), childGroup: loops)
            // One at a time, as the limit is looked at before each.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptLimit(connections))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 2048, maximum: 16 * 1024)
            )
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1, high: 4096))
            // The system keeps little that the peer has not been sent.
            .childChannelOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT)),
                value: 128 * 1024
            )
            .childChannelInitializer { [service] channel in
                channel.eventLoop.makeCompletedFuture {
                    try Self.setUp(channel, service, connections)
                }
            }
    }

    /// Gives a connection its handlers.
    static func setUp(_ channel: any Channel, _ service: HTTPService, _ connections: HTTPConnections) throws {
        guard let place = connections.join(channel) else { throw ChannelError.operationUnsupported }
        let intake = HTTPIntake(limits: service.limits, memory: service.memory)
        let delivery = HTTPDelivery(limits: service.limits)
        let id = ObjectIdentifier(channel)
        let handler = HTTPHandler(
            service: service,
            intake: intake,
            delivery: delivery,
            isReserve: place == .reserve,
            whenOver: { connections.leave(id) }
        )
        connections.began(channel, handler)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = service.limits.headerBytes / 2
        limits.maxHeaderListSize = service.limits.headerBytes
        limits.maxHeaderFieldCount = service.limits.headerFields
        var framing = HTTPResponseEncoder.Configuration()
        framing.automaticallySetFramingHeaders = false
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers(delivery, intake)
        try pipeline.configureHTTPServerPipeline(
            withErrorHandling: false,
            withOutboundHeaderValidation: false,
            withEncoderConfiguration: framing,
            withDecoderLimitConfiguration: limits
        )
        let idle = place == .reserve ? HTTPLimits.reservedTimeout : service.limits.idleTimeout
        // After the decoder: a head that arrives byte by byte is no sign of life.
        try pipeline.addHandlers(IdleStateHandler(readTimeout: TimeAmount(idle)), handler)
    }
}
