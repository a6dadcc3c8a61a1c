import NIOCore
import NIOHTTP1

/// One connection of the HTTP server: takes a request, has it answered and writes the response; then the next one.
///
/// What comes while a request is being answered waits for its turn, and no more is read until that has come.
///
/// The connection ends when the peer has gone, in time or not (``ConnectionGuard``), and with a response that is the last one:
/// because peer or program will not go on, or because it was given before the request's end. The peer is told by the end of
/// what it gets, and its own end is waited for, as closing at once could take the response from it.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// A request may come.
        case idle
        case receiving(HTTPRequestHead)
        case answering(HTTPRequestHead)
        /// The response is being written.
        case responding
        /// The last response has been written, or is about to be.
        case closing
    }

    private enum Arrival {
        case part(HTTPServerRequestPart)
        /// What cannot be read as a request. Indirect, as there may be thousands of parts and hardly any of these.
        indirect case unreadable(HTTPFailure)
        /// The peer sends no more.
        case end
    }

    /// Opens when the peer has gone.
    ///
    /// A peer that has closed its sending side counts as gone. It could still take a response, and gets one; but so few
    /// wait for it that HTTP servers commonly read it as a farewell.
    let departure = Gate()

    private let greatestBodyBytes: Int
    private let connectionGuard: ConnectionGuard
    private let reply: (HTTPRequest) throws(HTTPFailure) -> HTTPReply
    private let waits: AsyncStream<HTTPReply.Wait>.Continuation
    /// What has been begun and has not called back; it goes on when the connection has ended.
    private var underWay: Cancellation?
    private var context: ChannelHandlerContext?
    private var state = State.idle
    /// What has come before its turn.
    private var backlog = CircularBuffer<Arrival>()
    private var isTakingBacklog = false
    private var isReadPending = false
    /// Of the request that is being received.
    private var body = ByteBuffer()
    /// Whether the peer sends no more, or the program is stopping.
    private var isEnding = false
    private var isCancelled = false
    private let writer = HTTPResponseWriter()
    /// Responses that have been decided on, and have not been handed to the system as a whole.
    private var unwrittenResponses = 0

    /// - Parameters:
    ///   - greatestBodyBytes: The longest body of a request that is taken, in bytes.
    ///   - connectionGuard: Watches the peer.
    ///   - reply: Answers a request, or says how to. Called on the connection's event loop, which it may not block.
    ///   - waits: Takes what a request waits for, whose outcome is to come back with ``answer(_:)``. Ends when the connection has
    ///     ended, and nothing is under way for it.
    init(
        greatestBodyBytes: Int,
        connectionGuard: ConnectionGuard,
        reply: @escaping (HTTPRequest) throws(HTTPFailure) -> HTTPReply,
        waits: AsyncStream<HTTPReply.Wait>.Continuation
    ) {
        self.greatestBodyBytes = greatestBodyBytes
        self.connectionGuard = connectionGuard
        self.reply = reply
        self.waits = waits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        self.connectionGuard.connectionBegan(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.connectionGuard.connectionEnded()
        // A send that is under way keeps this, and needs none of it.
        self.backlog = CircularBuffer()
        self.body = ByteBuffer()
        self.writer.abandon()
        self.departure.open()
        self.finishWhenDone()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.departure.open()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            if self.backlog.isEmpty { self.take(.end) } else { self.backlog.append(.end) }
        case is ChannelShouldQuiesceEvent:
            self.isEnding = true
            self.closeWhenDone()
        default:
            break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.connectionGuard.writabilityChanged(context)
        self.writer.resume(context)
        context.fireChannelWritabilityChanged()
    }
}

// MARK: - Requests

extension HTTPConnection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.arrived(.part(self.unwrapInboundIn(data)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.watchRequest(context)
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if self.backlog.isEmpty { context.read() } else { self.isReadPending = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch (error, self.state) {
        case (HTTPParserError.headerOverflow, _), (is ByteToMessageDecoderError.PayloadTooLargeError, _):
            self.arrived(.unreadable(.headersTooLong))
        case (is HTTPParserError, _):
            self.arrived(.unreadable(.notHTTP))
        case (_, .answering), (_, .responding), (_, .closing):
            // What follows something unreadable, which has its turn; where the connection fails, it ends by itself.
            break
        default:
            context.close(promise: nil)
        }
    }

    private func arrived(_ arrival: Arrival) {
        if self.hasTurn, self.backlog.isEmpty { self.take(arrival) } else { self.backlog.append(arrival) }
    }

    /// Whether what comes next may be taken.
    private var hasTurn: Bool {
        switch self.state {
        case .idle, .receiving, .closing: true
        case .answering, .responding: false
        }
    }

    private func takeBacklog() {
        // What is taken may be answered at once, which calls this again: a row of requests would need as much of the stack as
        // there are.
        guard !self.isTakingBacklog else { return }
        self.isTakingBacklog = true
        while self.hasTurn, let arrival = self.backlog.popFirst() { self.take(arrival) }
        // With its last request being answered, the peer has gone.
        if case .end? = self.backlog.first, let end = self.backlog.popFirst() { self.take(end) }
        // It would keep the memory for as many as there ever were.
        if self.backlog.isEmpty, self.backlog.capacity > 64 { self.backlog = CircularBuffer() }
        self.isTakingBacklog = false
        guard let context = self.context else { return }
        self.watchRequest(context)
        if self.isReadPending, self.backlog.isEmpty {
            self.isReadPending = false
            context.read()
        }
    }

    private func take(_ arrival: Arrival) {
        switch (arrival, self.state) {
        case (.part(.head(let head)), .idle):
            self.requestBegan(head)
        case (.part(.body(var part)), .receiving):
            if self.body.readableBytes + part.readableBytes > self.greatestBodyBytes {
                self.respond(HTTPFailure.bodyTooLong(limit: self.greatestBodyBytes).response)
            } else {
                self.body.writeBuffer(&part)
            }
        case (.part(.end), .receiving(let head)):
            self.connectionGuard.requestEnded()
            self.state = .answering(head)
            let request = HTTPRequest(head, body: exchange(&self.body, with: ByteBuffer()))
            self.answer(Result { () throws(HTTPFailure) in try self.reply(request) })
        case (.unreadable(let failure), .idle), (.unreadable(let failure), .receiving):
            self.respond(failure.response)
        case (.end, _):
            self.isEnding = true
            self.departure.open()
            self.closeWhenDone()
        default:
            // What is left of a request that was answered before its end.
            break
        }
    }

    /// Of a request some may have come, and not all.
    private func watchRequest(_ context: ChannelHandlerContext) {
        guard case .receiving = self.state else { return }
        self.connectionGuard.requestGoesOn(context) { self.requestTimedOut() }
    }

    private func requestTimedOut() {
        if case .receiving = self.state { self.respond(HTTPFailure.timeout.response) }
    }

    private func requestBegan(_ head: HTTPRequestHead) {
        self.connectionGuard.requestBegan()
        self.state = .receiving(head)
        self.body = ByteBuffer()
        if !head.isValid {
            self.respond(HTTPFailure.notHTTP.response)
        } else if let length = head.announcedBodyBytes, length > self.greatestBodyBytes {
            // At once, so that a peer that asks first need not send the body at all.
            self.respond(HTTPFailure.bodyTooLong(limit: self.greatestBodyBytes).response)
        } else if head.expectsContinue {
            self.context?.writeAndFlush(self.wrapOutboundOut(.goOn), promise: nil)
        }
    }
}

// MARK: - Responses

extension HTTPConnection {
    /// Answers the request that has come. Called on the connection's event loop.
    func answer(_ reply: Result<HTTPReply, HTTPFailure>) {
        guard case .answering = self.state else { return }
        switch reply {
        case .success(.now(let response)): self.respond(response)
        case .success(.begin(let begin)): self.start(begin)
        case .success(.after(let wait)): self.waits.yield(wait)
        case .failure(let failure): self.respond(failure.response)
        }
    }

    private func start(_ begin: HTTPReply.Begin) {
        guard let loop = self.context?.eventLoop else { return }
        let connection = NIOLoopBound(self, eventLoop: loop)
        self.underWay = begin { response in
            loop.execute { connection.value.hasEnded(with: response()) }
        }
    }

    /// What was begun has called back.
    private func hasEnded(with response: HTTPResponse) {
        self.underWay = nil
        if self.context != nil { self.respond(response) }
        if self.isCancelled { self.context?.close(promise: nil) }
        self.finishWhenDone()
    }

    private func finishWhenDone() {
        if self.context == nil, self.underWay == nil { self.waits.finish() }
    }

    /// Closes the connection; what is under way is given up and answered before. Called on the connection's event loop.
    func cancel() {
        // The response is the last one then, and no further request begins.
        self.isEnding = true
        guard let underWay = self.underWay else {
            self.context?.close(promise: nil)
            return
        }
        self.isCancelled = true
        underWay()
    }

    /// Sends the response to the request that has come, is coming, or could not be read.
    private func respond(_ response: HTTPResponse) {
        let request: HTTPRequestHead?
        let isLast: Bool
        switch self.state {
        case .idle: (request, isLast) = (nil, true)
        // Where its end will be is not known, or does not come.
        case .receiving(let head):
            self.connectionGuard.requestEnded()
            (request, isLast) = (head, true)
        case .answering(let head): (request, isLast) = (head, self.isEnding || response.isLast(to: head))
        case .responding, .closing: return
        }
        guard let context = self.context else { return }
        self.state = isLast ? .closing : .responding
        self.unwrittenResponses += 1
        // While the peer takes nothing, nothing is written, and so nothing more is taken.
        self.writer.write(response, to: request, isLast: isLast, context) {
            self.connectionGuard.responseEnded(context)
            if !isLast { self.state = .idle }
            self.takeBacklog()
            self.closeWhenDone()
        } completion: {
            self.connectionGuard.responseWritten(context)
            response.whenWritten?()
            self.unwrittenResponses -= 1
            self.closeWhenDone()
            if isLast { context.close(mode: .output, promise: nil) }
        }
    }

    /// Closes when nothing more comes, and what the peer gets is with the system.
    private func closeWhenDone() {
        guard self.isEnding, self.unwrittenResponses == 0 else { return }
        switch self.state {
        case .idle, .closing: self.context?.close(promise: nil)
        case .receiving, .answering, .responding: break
        }
    }
}

@available(*, unavailable)
extension HTTPConnection: Sendable {}
