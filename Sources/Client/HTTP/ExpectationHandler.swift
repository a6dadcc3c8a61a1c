import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Tells a client that asks before it sends a long body (`Expect: 100-continue`) to go ahead.
///
/// curl does so, and waits a second for the answer. A body that is too long by its own account gets none: the error
/// that follows is the answer. Nor does a request that comes while one before it is being answered: what was written then
/// would be in the middle of that answer. Its client goes ahead without, as HTTP has it.
final class ExpectationHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let greatestBodyBytes: Int
    /// Requests that have come and are not wholly answered.
    private var unanswered = 0

    /// Creates a handler.
    ///
    /// - Parameter greatestBodyBytes: The longest body that is welcome, in bytes.
    init(greatestBodyBytes: Int) {
        self.greatestBodyBytes = greatestBodyBytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(data)
        guard case .head(let head) = self.unwrapInboundIn(data) else { return }
        self.unanswered += 1
        guard
            self.unanswered == 1,
            head.headerFields[.expect]?.lowercased() == "100-continue",
            head.headerFields[.contentLength].flatMap({ Int($0) }) ?? 0 <= self.greatestBodyBytes
        else { return }
        context.writeAndFlush(self.wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = self.unwrapOutboundIn(data) { self.unanswered -= 1 }
        context.write(data, promise: promise)
    }
}

@available(*, unavailable)
extension ExpectationHandler: Sendable {}
