import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after the other.
///
/// NIO's handlers before it decode requests, keep them in turn and encode responses. Bodies are gathered here: NIO's
/// aggregator answers 413 without a sentence in JSON, keeps a buffer for the longest body that there was, and knows
/// nothing of the memory that all connections share.
final class HTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// What all connections have in common.
    struct Service: Sendable {
        let route: @Sendable (HTTPRequestHead) throws(HTTPFailure) -> Route
        let limits: HTTPLimits
        let memory: HTTPMemory
        let allowedHosts: HostNames
        let greatestBodyBytes: Int
        /// Opens once the stream from the server has been opened for the first time.
        let opening: Gate
        let openTimeout: Duration
    }

    private enum State {
        /// A request may come.
        case idle
        /// It will be answered by the route, or with the failure.
        case receiving(HTTPRequestHead, Result<Route, HTTPFailure>)
        case answering(HTTPRequestHead)
        /// The last response has been decided on.
        case closing
    }

    private struct Outgoing {
        /// Until it has been written.
        var head: HTTPResponseHead?
        /// What is to be written next.
        var part: ByteBuffer?
        var rest: HTTPResponse.Parts?
        let isLast: Bool
        let whenAcknowledged: (@Sendable () -> Void)?
    }

    /// After so many parts of a body the event loop's other connections have their turn.
    private static let partsInARow = 8
    /// Parts up to this size are not counted: there is at most one at a time that the peer has not taken.
    private static let uncountedBytes = 4096
    /// How long to wait for memory for a part.
    private static let retryDelay = TimeAmount.milliseconds(20)

    private let service: Service
    private let transport: HTTPTransport
    /// Whether the connection is over the usual number, and can only ask for the program's health.
    private let isReserve: Bool
    private let whenOver: () -> Void

    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var body = ByteBuffer()
    private var outgoing: Outgoing?
    private var isWriting = false
    private var date = HTTPDate()
    /// Whether the peer sends no more, or the program is stopping.
    private var isEnding = false
    private var isCancelled = false
    private var lastResponse = NIODeadline.distantPast
    private var timer: Scheduled<Void>?
    /// A request that waits for the stream's first opening.
    private var held: (answer: () -> Void, leave: Cancellation)?
    /// What has been started and has not called back. It goes on when the connection has ended.
    private var underWay: Cancellation?

    /// - Parameter whenOver: Called when the connection has ended, and all that was started for it.
    init(service: Service, transport: HTTPTransport, isReserve: Bool = false, whenOver: @escaping () -> Void) {
        self.service = service
        self.transport = transport
        self.isReserve = isReserve
        self.whenOver = whenOver
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.lastResponse = context.eventLoop.now
        self.transport.onQuiesce = { [unowned self] in
            self.isEnding = true
            self.refuseHeld()
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.timer?.cancel()
        self.held.take()?.leave()
        self.outgoing = nil
        self.body = ByteBuffer()
        self.endWhenDone()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.writeOn()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            self.isEnding = true
            // Nobody is there to see what would be sent or fetched later.
            self.refuseHeld()
            if case .idle = self.state { context.close(promise: nil) }
        case IdleStateHandler.IdleStateEvent.read:
            self.closeIfIdle()
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// Closes the connection; what is under way is given up and answered before. Called on the event loop.
    func cancel() {
        self.isEnding = true
        self.isCancelled = true
        if let underWay = self.underWay { underWay() } else { self.transport.abort() }
    }

    private func endWhenDone() {
        if self.context == nil, self.underWay == nil { self.whenOver() }
    }

    private var idleTimeout: TimeAmount {
        TimeAmount(self.isReserve ? HTTPLimits.reservedTimeout : self.service.limits.idleTimeout)
    }

    private var requestTimeout: TimeAmount {
        TimeAmount(self.isReserve ? HTTPLimits.reservedTimeout : self.service.limits.requestTimeout)
    }

    private func closeIfIdle() {
        guard case .idle = self.state, let context = self.context else { return }
        let left = self.lastResponse + self.idleTimeout - context.eventLoop.now
        if left <= .zero { context.close(promise: nil) } else { self.setTimer(left) { $0.closeIfIdle() } }
    }

    private func setTimer(_ delay: TimeAmount, _ action: @escaping (HTTPHandler) -> Void) {
        self.timer?.cancel()
        self.timer = self.context?.eventLoop.assumeIsolated().scheduleTask(in: delay) { action(self) }
    }
}

// MARK: - Requests

extension HTTPHandler {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.unwrapInboundIn(data), self.state) {
        case (.head(let head), .idle):
            self.timer?.cancel()
            self.timer = nil
            self.requestBegan(head, context)
        case (.body(var part), .receiving(_, let verdict)):
            self.transport.bodyArrived(part.readableBytes)
            // One that is refused is not kept.
            guard case .success = verdict else { return }
            if self.body.readableBytes + part.readableBytes > self.service.greatestBodyBytes {
                self.respond(HTTPFailure.bodyTooLong(limit: self.service.greatestBodyBytes).response)
            } else {
                self.body.writeBuffer(&part)
            }
        case (.end, .receiving(let head, let verdict)):
            self.timer?.cancel()
            self.timer = nil
            self.transport.requestEnded()
            self.state = .answering(head)
            let request = HTTPRequest(head: head, body: exchange(&self.body, with: ByteBuffer()))
            self.answer { () throws(HTTPFailure) in try verdict.get().answer(request) }
        default:
            // What follows the last request.
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Most requests come in one piece, and need no timer.
        if case .receiving = self.state, self.timer == nil {
            self.setTimer(self.requestTimeout) { $0.requestTimedOut() }
        }
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let refusal = self.transport.refusal {
            self.respond(refusal.response)
        } else if case HTTPParserError.headerOverflow = error {
            self.respond((self.transport.isTargetTooLong ? HTTPFailure.targetTooLong : .headersTooLong).response)
        } else if error is HTTPParserError {
            self.respond(HTTPFailure.notHTTP.response)
        }
        // Where the connection itself fails, NIO closes it.
    }

    private func requestTimedOut() {
        if case .receiving = self.state { self.respond(HTTPFailure.timeout.response) }
    }

    private func requestBegan(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.transport.requestBegan()
        let verdict = Result { () throws(HTTPFailure) in try self.route(for: head) }
        self.state = .receiving(head, verdict)
        switch verdict {
        // Whoever asks first is told before it sends the body.
        case .failure(let failure) where failure.endsConnection || head.expectsContinue: self.respond(failure.response)
        case .success where head.expectsContinue:
            context.writeAndFlush(
                Self.wrapOutboundOut(.head(.init(version: .http1_1, status: .continue))),
                promise: nil
            )
        default: break
        }
    }

    private func route(for head: HTTPRequestHead) throws(HTTPFailure) -> Route {
        try head.checkFraming()
        try head.checkOrigin(allowing: self.service.allowedHosts)
        let route = try self.service.route(head)
        guard route.isHealth || !self.isReserve else { throw .tooManyConnections }
        guard head.headers["Content-Encoding"].allSatisfy({ $0.utf8.isASCIIEqual(to: "identity".utf8) }) else {
            throw .compressed
        }
        if let length = head.announcedBodyBytes, length > self.service.greatestBodyBytes {
            throw .bodyTooLong(limit: self.service.greatestBodyBytes)
        }
        return route
    }

    private func answer(_ reply: () throws(HTTPFailure) -> HTTPReply) {
        do throws(HTTPFailure) {
            switch try reply() {
            case .now(let response): self.respond(response)
            case .later(let start): self.start(start)
            case .whenOpen(let reply) where self.service.opening.isOpen: self.answer(reply)
            case .whenOpen(let reply): self.hold { [unowned self] in self.answer(reply) }
            }
        } catch {
            self.respond(error.response)
        }
    }

    private func start(_ start: HTTPReply.Start) {
        guard let loop = self.context?.eventLoop else { return }
        let handler = NIOLoopBound(self, eventLoop: loop)
        self.underWay = start { response in
            loop.execute { handler.value.hasEnded(with: response) }
        }
    }

    private func hasEnded(with response: HTTPResponse) {
        self.underWay = nil
        if self.context != nil { self.respond(response) }
        if self.isCancelled { self.transport.abort() }
        self.endWhenDone()
    }

    // MARK: Requests that wait for the stream's first opening

    private func hold(_ answer: @escaping () -> Void) {
        guard let loop = self.context?.eventLoop else { return }
        let handler = NIOLoopBound(self, eventLoop: loop)
        self.held = (answer, {})
        let leave = self.service.opening.whenOpen { loop.execute { handler.value.releaseHeld() } }
        self.held?.leave = leave
        self.setTimer(TimeAmount(self.service.openTimeout)) { $0.refuseHeld() }
    }

    private func releaseHeld() {
        guard let held = self.held.take() else { return }
        self.timer?.cancel()
        self.timer = nil
        held.answer()
    }

    private func refuseHeld() {
        guard let held = self.held.take() else { return }
        held.leave()
        self.timer?.cancel()
        self.timer = nil
        self.respond(HTTPFailure.notOpenYet.response)
    }
}

// MARK: - Responses

extension HTTPHandler {
    /// Sends the response to the request that has come, is coming, or could not be read.
    private func respond(_ response: HTTPResponse) {
        let request: HTTPRequestHead?
        let isLast: Bool
        switch self.state {
        case .idle: (request, isLast) = (nil, true)
        // Where the request's end will be is not known, or it does not come.
        case .receiving(let head, _): (request, isLast) = (head, true)
        case .answering(let head):
            // In HTTP/1.0 a body without a length ends with the connection.
            let hasNoEnd = head.version == .http1_0 && response.rest != nil
            (request, isLast) = (head, self.isEnding || self.isReserve || head.isLast || hasNoEnd)
        case .closing: return
        }
        guard let context = self.context else { return }
        self.state =
            isLast ? .closing : .answering(request ?? HTTPRequestHead(version: .http1_1, method: .GET, uri: ""))
        self.timer?.cancel()
        self.timer = nil
        self.body = ByteBuffer()
        let hasBody = request?.method != .HEAD
        self.outgoing = Outgoing(
            head: self.head(of: response, to: request, isLast: isLast, context),
            part: hasBody ? response.body : nil,
            rest: hasBody ? response.rest : nil,
            isLast: isLast,
            whenAcknowledged: response.whenAcknowledged
        )
        self.writeOn()
    }

    private func head(
        of response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool,
        _ context: ChannelHandlerContext
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(6)
        if !response.headers.contains(name: "Content-Type") {
            headers.add(name: "Content-Type", value: "application/json")
        }
        if response.rest == nil {
            headers.add(name: "Content-Length", value: String(response.body.readableBytes))
        } else if request?.version == .http1_1, request?.method != .HEAD {
            headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        headers.add(name: "Date", value: self.date.now())
        if isLast {
            headers.add(name: "Connection", value: "close")
        } else {
            headers.add(name: "Connection", value: "keep-alive")
            // A little less than the truth, for what is on its way at the end.
            let seconds = self.service.limits.idleTimeout.components.seconds
            headers.add(name: "Keep-Alive", value: "timeout=\(max(1, seconds - seconds / 20))")
        }
        headers.add(contentsOf: response.headers)
        return HTTPResponseHead(version: request?.version ?? .http1_1, status: response.status, headers: headers)
    }

    /// Writes on as long as the peer takes it.
    private func writeOn() {
        guard !self.isWriting, let context = self.context else { return }
        self.isWriting = true
        var parts = 0
        while self.outgoing != nil, context.channel.isActive, context.channel.isWritable {
            guard parts < Self.partsInARow, self.writePart(context) else {
                let delay = parts < Self.partsInARow ? Self.retryDelay : .zero
                self.setTimer(delay) { $0.writeOn() }
                break
            }
            parts += 1
        }
        self.isWriting = false
    }

    /// Writes a part of the response. Returns `false` if there is no memory for it now.
    private func writePart(_ context: ChannelHandlerContext) -> Bool {
        guard var outgoing = self.outgoing.take() else { return true }
        let part = outgoing.part.take() ?? outgoing.rest?.next()
        var promise: EventLoopPromise<Void>?
        if let bytes = part?.readableBytes, bytes > Self.uncountedBytes {
            guard self.service.memory.reserve(bytes) else {
                outgoing.part = part
                self.outgoing = outgoing
                return false
            }
            promise = context.eventLoop.makePromise()
            promise?.futureResult.whenComplete { [memory = self.service.memory] _ in memory.release(bytes) }
        }
        if let head = outgoing.head.take() { context.write(Self.wrapOutboundOut(.head(head)), promise: nil) }
        if let part { context.write(Self.wrapOutboundOut(.body(.byteBuffer(part))), promise: promise) }
        if outgoing.rest == nil || part == nil {
            self.end(outgoing, context)
        } else {
            self.outgoing = outgoing
            context.flush()
        }
        return true
    }

    private func end(_ outgoing: Outgoing, _ context: ChannelHandlerContext) {
        if !outgoing.isLast { self.state = .idle }
        self.lastResponse = context.eventLoop.now
        self.transport.responseEnds()
        // NIO gives us the next request from within, if it has come.
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        if let action = outgoing.whenAcknowledged { self.transport.whenAcknowledged(action) }
        guard outgoing.isLast else {
            self.transport.resume()
            // It was not known to be the last one when it began.
            if self.isEnding, case .idle = self.state { context.close(promise: nil) }
            return
        }
        self.transport.discard()
        // The peer learns it from the end of what it gets, and its own end is waited for: to close at once could take the
        // response from it.
        context.close(mode: .output, promise: nil)
        self.linger()
    }

    /// Bounds the wait for the peer's end, once it has the last response.
    private func linger() {
        self.setTimer(self.requestTimeout) { handler in
            if handler.transport.isAcknowledged { handler.transport.abort() } else { handler.linger() }
        }
    }
}

@available(*, unavailable)
extension HTTPHandler: Sendable {}
