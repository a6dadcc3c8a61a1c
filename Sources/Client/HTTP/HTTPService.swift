import struct LibGRPC.ListeningSocket
import HTTPServing
import Logging
import Messenger
import NIOCore
import Prometheus
import ServiceLifecycle

/// The client's HTTP server.
///
/// On a graceful shutdown it takes no more connections and ends after the requests in progress.
struct HTTPService: Service {
    private let settings: ClientSettings
    private let server: HTTPServer
    private let events: EventHub
    private let logger: Logger
    private let onRunning: @Sendable ([ListeningSocket]) async -> Void

    /// - Parameters:
    ///   - tokens: What requests need; `nil` if they need none.
    ///   - metrics: What `/metrics` shows.
    ///   - eventPingInterval: How often readers of events get a comment.
    ///   - onRunning: Called once the server listens, with the sockets.
    init(
        settings: ClientSettings,
        inbox: Inbox,
        room: some RemoteRoom,
        tokens: AccessTokens? = nil,
        metrics: ClientMetrics = ClientMetrics(),
        logger: Logger,
        eventPingInterval: Duration = .seconds(15),
        onRunning: @escaping @Sendable ([ListeningSocket]) async -> Void = { _ in }
    ) {
        let limits = settings.httpLimits
        let memory = HTTPMemory(limit: limits.memoryBytes)
        events = EventHub(
            room: room,
            maxReaders: settings.possibleStreams,
            pingInterval: eventPingInterval,
            logger: logger
        )
        metrics.observe(events)
        let routes = Routes(room: room, inbox: inbox, events: events, memory: memory, settings: settings).all
        server = HTTPServer(
            routes: HTTPMetrics.observed(routes + [.metrics(metrics.registry)], logger),
            limits: limits,
            memory: memory,
            allowedHosts: AllowedHosts(settings.httpAllowedHosts.names, setting: "MESSENGER_HTTP_ALLOWED_HOSTS"),
            admission: tokens.map { HTTPAccess(tokens: $0).admission },
            observer: HTTPMetrics.observer("other", logger),
            errorBody: { message in
                var body = ByteBuffer(staticString: #"{"sendTime":null,"error":"#)
                body.writeJSON(message)
                body.writeStaticString("}")
                return body
            }
        )
        self.settings = settings
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
        try await withThrowingTaskGroup { group in
            group.addTask { await events.run() }
            try await server.run(on: sockets.map(\.descriptor)) { await onRunning(sockets) }
            group.cancelAll()
        }
        if Task.isCancelled { logger.warning("requests were still in progress") }
    }
}

extension MessageLimits {
    /// The longest request body that is read, in bytes.
    ///
    /// JSON may write each byte of author and text as six (`\u0000`). The rest is for keys, white space and unknown keys.
    var maxBodyBytes: Int {
        6 * (authorBytes + textBytes) + 4096
    }
}
