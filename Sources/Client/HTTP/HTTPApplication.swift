import Hummingbird
import HummingbirdCore
import Logging
import Messenger
import NIOCore

/// Makes the client's HTTP server, a service that listens on all interfaces until it is stopped.
///
/// On a graceful shutdown it takes no more connections and ends after the requests under way.
///
/// - Parameters:
///   - settings: Ports, times and sizes, and what a peer may use up.
///   - inbox: The messages that have arrived.
///   - room: The room, to send to.
///   - logger: Takes what the server has to say.
///   - onRunning: Called with the port once the server listens: the way to learn it when the settings leave it open.
/// - Returns: A service that has yet to be run, best by ``HTTPService``.
func makeHTTPApplication<Room: RemoteRoom>(
    settings: ClientSettings,
    inbox: Inbox,
    room: Room,
    logger: Logger,
    onRunning: @escaping @Sendable (Port) async -> Void = { _ in }
) -> some ApplicationProtocol {
    let limits = settings.httpLimits
    let barrier = FirstOpeningBarrier(room: room, timeout: settings.openTimeout)
    let responder = ClientResponder(
        sending: SendMessageEndpoint(room: room, limits: settings.messageLimits, barrier: barrier),
        fetching: FlushMessagesEndpoint(inbox: inbox, barrier: barrier),
        health: HealthEndpoint(room: room, inbox: inbox)
    )
    return Application(
        responder: responder,
        server: .http1(configuration: limits.channelConfiguration(messages: settings.messageLimits)),
        configuration: ApplicationConfiguration(
            address: .hostname("0.0.0.0", port: Int(settings.httpPort.number)),
            backlog: limits.backlog,
            availableConnectionsDelegate: .maximum(limits.possibleConnections, logger: logger)
        ),
        onServerRunning: { channel in
            if let port = channel.localAddress?.port { await onRunning(Port(UInt16(truncatingIfNeeded: port))) }
        },
        logger: logger
    )
}

extension HTTPLimits {
    fileprivate func channelConfiguration(messages: MessageLimits) -> HTTP1Channel.Configuration {
        HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ProtocolErrorHandler(),
                DepartureHandler(),
                ExpectationHandler(greatestBodyBytes: messages.greatestBodyBytes),
                ConnectionGuard(
                    requestTimeout: TimeAmount(self.requestTimeout),
                    stallTimeout: TimeAmount(self.stallTimeout)
                ),
            ],
            idleTimeout: TimeAmount(self.idleTimeout),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: self.headerBytes / 2,
                maxHeaderListSize: self.headerBytes,
                maxHeaderFieldCount: self.headerFields
            )
        )
    }
}
