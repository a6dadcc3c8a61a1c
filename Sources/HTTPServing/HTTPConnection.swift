import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after the other. It is the last handler of the pipeline:
///
/// ```
/// socket – AcknowledgementHandler – RequestLimitHandler – NIO's encoder, decoder, pipelining – HTTPConnection
/// ```
///
/// It gathers bodies itself: NIO's aggregator answers 413 without a body, and keeps a buffer for the longest body so far.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    enum State {
        /// No request has begun.
        case idle
        /// A request arrives. The route will answer it, or the failure.
        case receiving(HTTPRequestHead, Result<HTTPRoute, HTTPFailure>)
        /// The route answers the request.
        case answering(HTTPRequestHead)
        /// A response is being written.
        case responding
        /// There are no further requests or responses.
        case closing
    }

    let server: HTTPServer
    let requestLimit: RequestLimitHandler
    let acknowledgements: AcknowledgementHandler
    private let connections: HTTPConnections
    /// Whether the connection is over the usual number, and can only ask for the program's health.
    var isReserved = false

    private(set) var context: ChannelHandlerContext?
    var state = State.idle
    private var body = ByteBuffer()
    var work: Work?
    /// Whether the peer sends no more, or the server is stopping.
    private(set) var isEnding = false
    var isCancelled = false

    /// What the sender of the current request has shown, if that was needed.
    private(set) var permit: (any HTTPPermit)?
    /// Ends the wait for its withdrawal.
    var endPermitWait: (@Sendable () -> Void)?

    /// That of the current request.
    private(set) var requestID: String?
    /// Sees the answer to the current request, which began at this time.
    var observation: (observer: HTTPObserver, began: NIODeadline)?

    /// What has not been written of the response.
    var outgoing: OutgoingResponse?
    var isWriting = false
    /// Continues writing when other connections have had their turn, or memory may be free.
    var writeRetry: Scheduled<Void>?
    /// How many times in a row the peer of a ``HTTPBodySource`` had taken nothing.
    var stalledChecks = 0

    /// When the time for the current state ends.
    private var deadline = NIODeadline.distantFuture
    private var timer: Scheduled<Void>?
    private var timerDeadline = NIODeadline.distantFuture

    init(server: HTTPServer, connections: HTTPConnections) {
        self.server = server
        self.connections = connections
        requestLimit = RequestLimitHandler(
            limits: server.limits,
            memory: server.memory,
            healthChecks: server.healthChecks
        )
        acknowledgements = AcknowledgementHandler(window: server.limits.responseWindow)
    }

    /// Closes the connection after the request in progress; if forced, cancels that. Called on the event loop.
    func stop(forced: Bool) {
        end()
        guard forced else { return }
        isCancelled = true
        work?.cancel()
        // A task that writes a body waits for the peer, which may take nothing.
        if work == nil || isResponding { acknowledgements.abort() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelActive(context: ChannelHandlerContext) {
        setDeadline(in: idleTimeout)
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        timer?.cancel()
        writeRetry?.cancel()
        let unfinished = outgoing.take()
        unfinished?.writing?.resume(throwing: CancellationError())
        unfinished?.source?.end()
        body = ByteBuffer()
        forgetPermit()
        if let work, work.endsWithConnection { work.cancel() }
        leaveIfDone()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { end() } else { context.fireUserInboundEventTriggered(event) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeResponse(context)
        context.fireChannelWritabilityChanged()
    }

    /// Takes no request after the current one.
    private func end() {
        isEnding = true
        if let work, work.endsWithInput { work.cancel() }
        endSource()
        closeIfIdle()
    }

    func closeIfIdle() {
        guard case .idle = state else { return }
        state = .closing
        context?.close(promise: nil)
    }

    private var isResponding: Bool { if case .responding = state { true } else { false } }

    func leaveIfDone() {
        if context == nil, work == nil { connections.remove(self) }
    }
}

// MARK: - Requests

extension HTTPConnection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(var head), .idle):
            head.headers.trimEnds()
            requestLimit.headEnded()
            deadline = .distantFuture
            requestBegan(head, context)
        case (.body(var part), .receiving(_, let verdict)):
            requestLimit.bodyArrived(part.readableBytes)
            // The body of a refused request is not kept.
            guard case .success = verdict else { return }
            if body.readableBytes + part.readableBytes > server.limits.bodyBytes {
                respond(.failure(.bodyTooLong(limit: server.limits.bodyBytes)))
            } else if body.readableBytes == 0 {
                body = part
            } else {
                body.writeBuffer(&part)
            }
        case (.end, .receiving(let head, let verdict)):
            requestLimit.requestEnded()
            deadline = .distantFuture
            state = .answering(head)
            let request = HTTPRequest(head: head, body: exchange(&body, with: ByteBuffer()), id: requestID ?? "")
            answer { () throws(HTTPFailure) in try verdict.get().answer(request) }
        default:
            // What follows the last request.
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Most requests arrive in one read, and need no deadline.
        if case .receiving = state, deadline == .distantFuture { setDeadline(in: requestTimeout) }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let refusal = requestLimit.refusal {
            respond(.failure(refusal))
        } else if case HTTPParserError.headerOverflow = error {
            respond(.failure(requestLimit.isInRequestLine ? .targetTooLong : .headersTooLong))
        } else if error is HTTPParserError {
            respond(.failure(.invalidHTTP))
        }
        // If the connection itself fails, NIO closes it.
    }

    private func requestBegan(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        permit = nil
        requestID = RequestID.of(head.headers)
        let verdict = Result { () throws(HTTPFailure) in
            let (route, permit) = try server.route(for: head, isReserved: isReserved)
            self.permit = permit
            return route
        }
        let observer = if case .success(let route) = verdict { route.observer } else { server.observer(of: head) }
        observation = observer.map { ($0, context.eventLoop.now) }
        state = .receiving(head, verdict)
        switch verdict {
        // A peer that asks first gets the answer before it sends the body.
        case .failure(let failure) where failure.endsConnection || head.expectsContinue: respond(.failure(failure))
        case .success where head.expectsContinue:
            let head = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(Self.wrapOutboundOut(.head(head)), promise: nil)
        default: break
        }
    }
}

// MARK: - Deadlines

extension HTTPConnection {
    var idleTimeout: Duration { isReserved ? HTTPLimits.reservedTimeout : server.limits.idleTimeout }

    var requestTimeout: Duration { isReserved ? HTTPLimits.reservedTimeout : server.limits.requestTimeout }

    /// Sets when the current state ends. The timer stays as it is if it is due before, and will look again: cancelling it
    /// would take time that grows with the number of connections.
    func setDeadline(in time: Duration) {
        guard let context else { return }
        deadline = context.eventLoop.now + TimeAmount(time)
        if timer == nil || timerDeadline > deadline { setTimer(context) }
    }

    private func setTimer(_ context: ChannelHandlerContext) {
        timer?.cancel()
        timerDeadline = deadline
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            timer = nil
            if deadline <= timerDeadline { timedOut() } else if deadline != .distantFuture { setTimer(context) }
        }
    }

    private func timedOut() {
        switch state {
        case .idle: closeIfIdle()
        case .receiving: respond(.failure(.timeout))
        case .answering: break
        case .responding: checkSourceProgress()
        // A slow peer may still read the response.
        case .closing where acknowledgements.isWaiting: setDeadline(in: requestTimeout)
        case .closing: acknowledgements.abort()
        }
    }
}
