import NIOCore
import NIOHTTP1

/// One connection of the HTTP server: takes a request, has it answered and writes the response; then the next one.
///
/// NIO's handler for pipelining, which comes before it, lets no request through while another one is being answered. Where
/// more have come already, the end of a response lets the next one through at once: writing calls ``channelRead`` then.
///
/// The connection ends when the peer has gone, in time or not (``ConnectionGuard``), and with a response that is the last one:
/// because peer or program will not go on, or because it was given before the request's end. The peer is told by the end of
/// what it gets, and its own end is waited for, as closing at once could take the response from it.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        /// A request may come, once the response to the one before has been written.
        case idle
        case receiving(HTTPRequestHead)
        case answering(HTTPRequestHead)
        /// The last response has been written, or is about to be.
        case closing
    }

    private struct Outgoing {
        let response: HTTPResponse
        let request: HTTPRequestHead?
        let isLast: Bool
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
    /// Of the request that is being received.
    private var body = ByteBuffer()
    /// Whether the peer sends no more, or the program is stopping.
    private var isEnding = false
    private var isCancelled = false
    private let writer: HTTPResponseWriter
    private var next: Outgoing?
    private var isWriting = false
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
        self.writer = HTTPResponseWriter(willEnd: connectionGuard.responseEnds)
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
        self.next = nil
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
            self.isEnding = true
            self.departure.open()
            self.closeWhenDone()
        case is ConnectionShouldEnd:
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
        self.writeNext()
        context.fireChannelWritabilityChanged()
    }
}

// MARK: - Requests

extension HTTPConnection {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (self.unwrapInboundIn(data), self.state) {
        case (.head(let head), .idle):
            self.requestBegan(head, context)
        case (.body(var part), .receiving):
            if self.body.readableBytes + part.readableBytes > self.greatestBodyBytes {
                self.respond(HTTPFailure.bodyTooLong(limit: self.greatestBodyBytes).response)
            } else {
                self.body.writeBuffer(&part)
            }
        case (.end, .receiving(let head)):
            self.connectionGuard.requestEnded()
            self.state = .answering(head)
            let request = HTTPRequest(head, body: exchange(&self.body, with: ByteBuffer()))
            self.answer(Result { () throws(HTTPFailure) in try self.reply(request) })
        default:
            // What is left of a request that was answered before its end.
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .receiving = self.state {
            self.connectionGuard.requestGoesOn(context) { self.requestTimedOut() }
        }
        context.fireChannelReadComplete()
    }

    private func requestTimedOut() {
        if case .receiving = self.state { self.respond(HTTPFailure.timeout.response) }
    }

    private func requestBegan(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.connectionGuard.requestBegan()
        self.state = .receiving(head)
        self.body = ByteBuffer()
        if !head.isValid {
            self.respond(HTTPFailure.notHTTP.response)
        } else if let length = head.announcedBodyBytes, length > self.greatestBodyBytes {
            // At once, so that a peer that asks first need not send the body at all.
            self.respond(HTTPFailure.bodyTooLong(limit: self.greatestBodyBytes).response)
        } else if head.expectsContinue {
            let head = HTTPResponseHead(version: head.version, status: .continue)
            context.writeAndFlush(self.wrapOutboundOut(.head(head)), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch (error, self.state) {
        case (_, .answering), (_, .closing):
            // Of what comes after the request, which has its turn, or none.
            break
        case (HTTPParserError.headerOverflow, .idle), (HTTPParserError.headerOverflow, .receiving):
            self.respond(HTTPFailure.headersTooLong.response)
        case (is HTTPParserError, .idle), (is HTTPParserError, .receiving):
            self.respond(HTTPFailure.notHTTP.response)
        default:
            context.close(promise: nil)
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
            loop.execute { connection.value.hasEnded(with: response) }
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
        case .closing: return
        }
        self.state = isLast ? .closing : .idle
        self.next = Outgoing(response: response, request: request, isLast: isLast)
        self.unwrittenResponses += 1
        self.writeNext()
    }

    private func writeNext() {
        // To write may let the next request through, and so call this again: a row of requests would need as much of the
        // stack as there are.
        guard !self.isWriting else { return }
        self.isWriting = true
        defer { self.isWriting = false }
        // While the peer takes nothing, nothing is written, and so nothing more is read.
        while let context = self.context, context.takesMore, let next = self.next.take() {
            self.writer.write(next.response, to: next.request, isLast: next.isLast, context) {
                self.connectionGuard.responseEnded(context)
                next.response.whenWritten?()
                self.unwrittenResponses -= 1
                self.closeWhenDone()
                if next.isLast { context.close(mode: .output, promise: nil) }
            }
        }
    }

    /// Closes when nothing more comes, and what the peer gets is with the system.
    private func closeWhenDone() {
        guard self.isEnding, self.unwrittenResponses == 0 else { return }
        switch self.state {
        case .idle, .closing: self.context?.close(promise: nil)
        case .receiving, .answering: break
        }
    }
}

@available(*, unavailable)
extension HTTPConnection: Sendable {}
