import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Tells a client that asks before it sends a long body (`Expect: 100-continue`) to go ahead.
///
/// curl does so, and waits a second for the answer. A body that is too long by its own account gets none: the error
/// that follows is the answer.
final class ExpectationHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let greatestBodyBytes: Int

    /// Creates a handler.
    ///
    /// - Parameter greatestBodyBytes: The longest body that is welcome, in bytes.
    init(greatestBodyBytes: Int) {
        self.greatestBodyBytes = greatestBodyBytes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.fireChannelRead(data)
        guard
            case .head(let head) = self.unwrapInboundIn(data),
            head.headerFields[.expect]?.lowercased() == "100-continue",
            head.headerFields[.contentLength].flatMap({ Int($0) }) ?? 0 <= self.greatestBodyBytes
        else { return }
        context.writeAndFlush(self.wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
    }
}

@available(*, unavailable)
extension ExpectationHandler: Sendable {}
