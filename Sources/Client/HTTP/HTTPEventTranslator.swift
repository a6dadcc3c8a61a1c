import NIOCore
import NIOHTTP1

/// The program is stopping: the connection is to end with the response to the request that is there, or at once.
struct ConnectionShouldEnd {}

/// Comes before NIO's handler for pipelining, and words for it, and for what follows, what it would not handle well.
///
/// It would end a connection as soon as the last response's end has been written, though some of that is still in the
/// program; and it would let an error of the decoder's, other than a parser's, overtake the responses before.
final class HTTPEventTranslator: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event is ChannelShouldQuiesceEvent ? ConnectionShouldEnd() : event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let isTooLong = error is ByteToMessageDecoderError.PayloadTooLargeError
        context.fireErrorCaught(isTooLong ? HTTPParserError.headerOverflow : error)
    }
}

@available(*, unavailable)
extension HTTPEventTranslator: Sendable {}
