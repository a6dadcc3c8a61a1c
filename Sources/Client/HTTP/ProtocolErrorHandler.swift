import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Gives the answers that Hummingbird makes by itself, which have no body, the body that every other error has.
///
/// It makes them for requests that are no HTTP, before there is a request that a responder could be asked about.
final class ProtocolErrorHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var firstError: (any Error)?
    private var body: ByteBuffer?

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Of several errors the first one counts: what comes after it is a consequence.
        if self.firstError == nil { self.firstError = error }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        case .head(let head) where Self.isEmptyError(head):
            let failure = self.failure(for: head.status)
            let body = failure.body
            var head = head
            head.status = failure.status
            head.headerFields[.contentType] = "application/json"
            head.headerFields[.contentLength] = String(body.readableBytes)
            self.body = body
            context.write(self.wrapOutboundOut(.head(head)), promise: promise)
        case .end:
            if let body = self.body.take() {
                context.write(self.wrapOutboundOut(.body(body)), promise: nil)
            }
            context.write(data, promise: promise)
        default:
            context.write(data, promise: promise)
        }
    }

    /// Our own errors have a body, and so a length, also in answers to `HEAD`.
    private static func isEmptyError(_ head: HTTPResponse) -> Bool {
        head.status.code >= 400 && head.headerFields[.contentLength] == "0"
    }

    private func failure(for status: HTTPResponse.Status) -> HTTPFailure {
        if self.firstError as? HTTPParserError == .headerOverflow {
            return HTTPFailure(status: .requestHeaderFieldsTooLarge, message: "The header fields are too long.")
        }
        if status == .badRequest { return .badRequest("The request is not valid HTTP.") }
        return HTTPFailure(status: status, message: HTTPFailure.unexpected.message)
    }
}

@available(*, unavailable)
extension ProtocolErrorHandler: Sendable {}
