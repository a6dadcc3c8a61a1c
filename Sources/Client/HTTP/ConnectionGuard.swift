import NIOCore
import NIOHTTP1

/// A request did not arrive whole in the time that it had.
struct RequestTimeout: Error {}

/// Ends connections whose peer is too slow: one that sends nothing, or a request bit by bit, or does not take its answer.
///
/// It tells of a request that takes too long with ``RequestTimeout``, as that has yet to be answered.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: HTTPLimits

    /// Since when the peer owes a request's head, or its end after the last response; `nil` while a request is being answered.
    private var idleSince: NIODeadline?
    private var isLastResponse = false
    private var idleDeadline: Scheduled<Void>?
    private var isReadingRequest = false
    private var requestDeadline: Scheduled<Void>?
    private var stallDeadline: Scheduled<Void>?

    init(limits: HTTPLimits) {
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.idleSince = context.eventLoop.now
        self.watchIdleness(in: TimeAmount(self.limits.idleTimeout), context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head:
            // What comes after the last response is no request.
            if !self.isLastResponse { self.idleSince = nil }
            self.isReadingRequest = true
        case .body:
            break
        case .end:
            self.isReadingRequest = false
            self.requestDeadline?.cancel()
            self.requestDeadline = nil
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Most requests come in one piece: they are over by now and need no timer.
        if self.isReadingRequest, self.requestDeadline == nil {
            self.requestDeadline = self.schedule(in: TimeAmount(self.limits.requestTimeout), context) { context in
                context.fireErrorCaught(RequestTimeout())
            }
        }
        context.fireChannelReadComplete()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // Noted before it is written: the next request may have come already, and is let through with the end.
        switch self.unwrapOutboundIn(data) {
        case .head(let head): self.isLastResponse = !head.isKeepAlive
        case .body: break
        case .end:
            self.idleSince = context.eventLoop.now
            promise?.futureResult.assumeIsolated().whenSuccess {
                // The peer has all of it only now.
                if self.idleSince != nil { self.idleSince = context.eventLoop.now }
            }
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.stallDeadline?.cancel()
        self.stallDeadline = nil
        if !context.channel.isWritable {
            self.stallDeadline = self.schedule(in: TimeAmount(self.limits.stallTimeout), context) { context in
                context.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.idleDeadline?.cancel()
        self.requestDeadline?.cancel()
        self.stallDeadline?.cancel()
    }

    /// One timer for a connection's whole life, which looks how long it has been idle: to set one for each request costs more.
    private func watchIdleness(in timeout: TimeAmount, _ context: ChannelHandlerContext) {
        self.idleDeadline = self.schedule(in: timeout, context) { [self] context in
            let timeout = TimeAmount(self.limits.idleTimeout)
            let left = (self.idleSince ?? context.eventLoop.now) + timeout - context.eventLoop.now
            if left > .zero {
                self.watchIdleness(in: left, context)
            } else {
                context.close(promise: nil)
            }
        }
    }

    private func schedule(
        in timeout: TimeAmount,
        _ context: ChannelHandlerContext,
        action: @escaping (ChannelHandlerContext) -> Void
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { action(context) }
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
