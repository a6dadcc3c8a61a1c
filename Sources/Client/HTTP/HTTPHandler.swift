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

    private enum State {
        /// A request may come.
        case idle
        /// It will be answered by the route, or with the failure.
        case receiving(HTTPRequestHead, Result<Route, HTTPFailure>)
        case answering(HTTPRequestHead)
        /// The last response has been decided on.
        case closing
    }

    private let service: HTTPService
    private let intake: HTTPIntake
    private let delivery: HTTPDelivery
    private let writer: HTTPResponseWriter
    /// Whether the connection is over the usual number, and can only ask for the program's health.
    private let isReserve: Bool
    private let whenOver: () -> Void

    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var body = ByteBuffer()
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
    init(
        service: HTTPService,
        intake: HTTPIntake,
        delivery: HTTPDelivery,
        isReserve: Bool,
        whenOver: @escaping () -> Void
    ) {
        self.service = service
        self.intake = intake
        self.delivery = delivery
        self.writer = HTTPResponseWriter(limits: service.limits, memory: service.memory)
        self.isReserve = isReserve
        self.whenOver = whenOver
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.lastResponse = context.eventLoop.now
        self.writer.whenWritten = { [unowned self] in self.end($0, $1) }
        self.intake.onQuiesce = { [unowned self] in
            self.isEnding = true
            self.refuseHeld()
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.timer?.cancel()
        self.held.take()?.leave()
        self.writer.abandon()
        self.body = ByteBuffer()
        self.endWhenDone()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.writer.resume(context)
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
        if let underWay = self.underWay { underWay() } else { self.delivery.abort() }
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
            self.intake.bodyArrived(part.readableBytes)
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
            self.intake.requestEnded()
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
        if let refusal = self.intake.refusal {
            self.respond(refusal.response)
        } else if case HTTPParserError.headerOverflow = error {
            self.respond((self.intake.isTargetTooLong ? HTTPFailure.targetTooLong : .headersTooLong).response)
        } else if error is HTTPParserError {
            self.respond(HTTPFailure.notHTTP.response)
        }
        // Where the connection itself fails, NIO closes it.
    }

    private func requestTimedOut() {
        if case .receiving = self.state { self.respond(HTTPFailure.timeout.response) }
    }

    private func requestBegan(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.intake.requestBegan()
        let verdict = Result { () throws(HTTPFailure) in try self.service.route(for: head, isReserve: self.isReserve) }
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
        if self.isCancelled { self.delivery.abort() }
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
        self.writer.write(response, to: request, isLast: isLast, context)
    }

    private func end(_ outgoing: HTTPResponseWriter.Outgoing, _ context: ChannelHandlerContext) {
        if !outgoing.isLast { self.state = .idle }
        self.lastResponse = context.eventLoop.now
        self.intake.responseEnds()
        // NIO gives us the next request from within, if it has come.
        context.writeAndFlush(Self.wrapOutboundOut(.end(nil)), promise: nil)
        if let action = outgoing.whenAcknowledged { self.delivery.whenAcknowledged(action) }
        guard outgoing.isLast else {
            self.intake.resume()
            // It was not known to be the last one when it began.
            if self.isEnding, case .idle = self.state { context.close(promise: nil) }
            return
        }
        self.intake.discard()
        self.delivery.complete()
        // The peer learns it from the end of what it gets, and its own end is waited for: to close at once could take the
        // response from it.
        context.close(mode: .output, promise: nil)
        self.linger()
    }

    /// Bounds the wait for the peer's end, once it has the last response.
    private func linger() {
        self.setTimer(self.requestTimeout) { handler in
            if handler.delivery.isAcknowledged { handler.delivery.abort() } else { handler.linger() }
        }
    }
}

@available(*, unavailable)
extension HTTPHandler: Sendable {}
