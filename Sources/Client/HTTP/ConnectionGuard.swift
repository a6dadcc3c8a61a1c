import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Ends connections whose peer is too slow: one that sends a request bit by bit, or does not take its answer.
///
/// Hummingbird's idle timeout bounds the time up to a request's whole head; each part of a body begins it anew, and it
/// rests while an answer is being written.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// The time from a request's head to its end.
    private let requestTimeout: TimeAmount
    /// The time in which a peer has to take what makes the connection writable again.
    private let stallTimeout: TimeAmount

    private var isReadingRequest = false
    private var requestDeadline: Scheduled<Void>?
    private var stallDeadline: Scheduled<Void>?

    init(requestTimeout: TimeAmount, stallTimeout: TimeAmount) {
        self.requestTimeout = requestTimeout
        self.stallTimeout = stallTimeout
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head:
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
            self.requestDeadline = self.schedule(in: self.requestTimeout, context) { context in
                context.fireErrorCaught(RequestTimeout())
            }
        }
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        self.stallDeadline?.cancel()
        self.stallDeadline = nil
        if !context.channel.isWritable {
            self.stallDeadline = self.schedule(in: self.stallTimeout, context) { context in
                context.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.requestDeadline?.cancel()
        self.stallDeadline?.cancel()
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
