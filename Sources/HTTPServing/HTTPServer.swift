import Glibc
package import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// An HTTP/1.1 server.
package struct HTTPServer: Sendable {
    let routes: [HTTPRoute]
    let limits: HTTPLimits
    let memory: HTTPMemory
    let allowedHosts: AllowedHosts
    let admission: HTTPAdmission?
    let observer: HTTPObserver?
    let errorBody: @Sendable (String) -> ByteBuffer
    let healthChecks: [String]

    /// - Parameters:
    ///   - memory: Counts what requests and responses use.
    ///   - allowedHosts: Under which names browsers may use the server, in addition to addresses and local names.
    ///   - admission: Who may make which request; `nil` if all may make all.
    ///   - observer: Sees the answers to requests for paths that have no route, and to what is not HTTP.
    ///   - errorBody: The body of a response that carries an error's message.
    package init(
        routes: [HTTPRoute],
        limits: HTTPLimits,
        memory: HTTPMemory,
        allowedHosts: AllowedHosts,
        admission: HTTPAdmission? = nil,
        observer: HTTPObserver? = nil,
        errorBody: @escaping @Sendable (String) -> ByteBuffer
    ) {
        self.routes = routes
        self.limits = limits
        self.memory = memory
        self.allowedHosts = allowedHosts
        self.admission = admission
        self.observer = observer
        self.errorBody = errorBody
        healthChecks = routes.filter(\.isHealth).map { "GET \($0.path) " }
    }

    /// Serves until a graceful shutdown, and ends after the requests in progress. If the task is cancelled, closes all
    /// connections.
    ///
    /// - Parameters:
    ///   - sockets: Listening sockets, which the server closes.
    ///   - onRunning: Called once the server accepts connections.
    package func run(on sockets: [CInt], onRunning: () async -> Void) async throws {
        let connections = HTTPConnections(limits: limits)
        let bootstrap = bootstrap(connections)
        var listeners: [any Channel] = []
        for socket in sockets { listeners.append(try await bootstrap.withBoundSocket(socket).get()) }
        let stop = { @Sendable [listeners] (forced: Bool) in
            for listener in listeners { listener.close(promise: nil) }
            connections.stop(forced: forced)
        }
        await onRunning()
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await connections.waitUntilStopped()
            } onGracefulShutdown: {
                stop(false)
            }
        } onCancel: {
            stop(true)
        }
    }

    private func bootstrap(_ connections: HTTPConnections) -> ServerBootstrap {
        let loops = MultiThreadedEventLoopGroup.singleton
        return ServerBootstrap(group: loops.any(), childGroup: loops)
            // One at a time: the limit is checked before each.
            .serverChannelOption(.maxMessagesPerRead, value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptLimitHandler(connections))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: RequestLimitHandler.readBytes)
            )
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1, high: 4096))
            // The system buffers little that has not been sent to the peer.
            .childChannelOption(
                ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT)),
                value: 128 * 1024
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(to: channel, connections) }
            }
    }
}

// MARK: - Connections

extension HTTPServer {
    /// The route for a request, if its head may be answered, and its sender's permit. Paths are compared as bytes.
    func route(
        for head: HTTPRequestHead,
        isReserved: Bool
    ) throws(HTTPFailure) -> (HTTPRoute, permit: (any HTTPPermit)?) {
        try head.checkFraming()
        let path = head.path
        let found = route(at: path)
        try head.checkOrigin(allowing: allowedHosts, isLinkable: found?.isLinkable ?? false)
        // Before anything that depends on the path. What is not there needs a permit too.
        let permit = found?.isOpen == true ? nil : try admission?.check(head, path) ?? nil
        guard let route = found else { throw .notFound }
        guard route.methods.contains(head.method) else { throw .methodNotAllowed(route.methods) }
        guard route.isHealth || !isReserved else { throw .tooManyConnections }
        guard head.headers["Content-Encoding"].allSatisfy({ $0.utf8.isASCIIEqual(to: "identity".utf8) }) else {
            throw .compressed
        }
        if let length = head.contentLength, length > limits.bodyBytes { throw .bodyTooLong(limit: limits.bodyBytes) }
        return (route, permit)
    }

    /// What sees the answer to a request, also to one that is refused.
    func observer(of head: HTTPRequestHead) -> HTTPObserver? {
        guard let route = route(at: head.path) else { return observer }
        return route.observer
    }

    private func route(at path: Substring.UTF8View) -> HTTPRoute? {
        routes.first { path.elementsEqual($0.path.utf8) }
    }

    /// Gives a new connection its handlers.
    func addHandlers(to channel: any Channel, _ connections: HTTPConnections) throws {
        let connection = HTTPConnection(server: self, connections: connections)
        var decoderLimits = NIOHTTPDecoderLimitConfiguration()
        decoderLimits.maxHeaderFieldSize = limits.headerBytes / 2
        decoderLimits.maxHeaderListSize = limits.headerBytes
        decoderLimits.maxHeaderFieldCount = limits.headerFields
        var framing = HTTPResponseEncoder.Configuration()
        framing.automaticallySetFramingHeaders = false
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers(connection.acknowledgements, connection.requestLimit)
        try pipeline.configureHTTPServerPipeline(
            withErrorHandling: false,
            withOutboundHeaderValidation: false,
            withEncoderConfiguration: framing,
            withDecoderLimitConfiguration: decoderLimits
        )
        try pipeline.addHandler(connection)
        guard let isReserved = connections.add(connection, channel) else { throw ChannelError.operationUnsupported }
        connection.isReserved = isReserved
    }
}
