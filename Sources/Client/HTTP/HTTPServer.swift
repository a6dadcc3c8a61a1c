import HummingbirdCore
import Logging
import Messenger
import NIOCore
import NIOPosix
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The client's HTTP server, which listens on all interfaces.
///
/// On a graceful shutdown it takes no more connections and ends after the requests under way.
struct HTTPServer: Service {
    private let server: Server<HTTPChannel>
    private let port: Port
    private let logger: Logger

    /// - Parameters:
    ///   - settings: Ports, times and sizes, and what a peer may use up.
    ///   - inbox: The messages that have arrived.
    ///   - room: The room, to send to.
    ///   - logger: Takes what the server has to say.
    ///   - onRunning: Called with the port once the server listens: the way to learn it when the settings leave it open.
    init(
        settings: ClientSettings,
        inbox: Inbox,
        room: some RemoteRoom,
        logger: Logger,
        onRunning: @escaping @Sendable (Port) async -> Void = { _ in }
    ) {
        let barrier = FirstOpeningBarrier(room: room, timeout: settings.openTimeout)
        let routes = Routes(
            sending: SendMessageEndpoint(
                room: room,
                limits: settings.messageLimits,
                barrier: barrier,
                sends: SendLimit(settings.httpLimits.possibleConnections)
            ),
            fetching: FlushMessagesEndpoint(inbox: inbox, barrier: barrier),
            health: HealthEndpoint(room: room, inbox: inbox)
        )
        let limits = settings.httpLimits
        self.port = settings.httpPort
        self.logger = logger
        self.server = Server(
            childChannelSetup: HTTPChannel(
                limits: limits,
                greatestBodyBytes: settings.messageLimits.greatestBodyBytes,
                reply: routes.reply(to:)
            ),
            configuration: ServerConfiguration(
                address: .hostname("0.0.0.0", port: Int(self.port.number)),
                backlog: limits.backlog,
                availableConnectionsDelegate: .maximum(limits.possibleConnections, logger: .quiet)
            ),
            onServerRunning: { channel in
                if let port = channel.localAddress?.port { await onRunning(Port(UInt16(truncatingIfNeeded: port))) }
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: .quiet
        )
    }

    /// Serves until a graceful shutdown.
    ///
    /// When the task is cancelled, connections are closed, and the log says so.
    ///
    /// - Throws: ``StartError`` when the port cannot be had, and any other error that stopped the server.
    func run() async throws {
        do {
            try await self.server.run()
            if Task.isCancelled { self.logger.warning("requests were still in progress") }
        } catch let error as IOError {
            throw StartError(listeningOn: self.port, failedWith: error) ?? error
        }
    }
}

extension StartError {
    /// What it means that a server could not listen; `nil` for errors that say nothing about the port.
    fileprivate init?(listeningOn port: Port, failedWith error: IOError) {
        switch error.errnoCode {
        case EADDRINUSE:
            self.init(
                .unavailable,
                "Port \(port) is in use; choose another one with MESSENGER_HTTP_PORT or --http-port."
            )
        case EACCES:
            self.init(
                .notPermitted,
                "Port \(port) takes more rights; choose one above 1023 with MESSENGER_HTTP_PORT or --http-port."
            )
        default:
            return nil
        }
    }
}
