import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Gives the answers that Hummingbird makes by itself, which have no body, the body that every other error has.
///
/// It makes them for requests that are no HTTP, before there is a request that a responder could be asked about, and for
/// those that turn out to be none later on. Of the latter, those that have been answered get no second answer.
final class ProtocolErrorHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// Whether a request is arriving: its head is there, its end is not.
    private var isReadingRequest = false
    /// The requests that have yet to be answered, one that is arriving included.
    private var unanswered = 0
    /// Whether an answer is being written that nobody waits for.
    private var isDropping = false
    private var firstError: (any Error)?
    private var body: ByteBuffer?

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Of several errors the first one counts: what comes after it is a consequence.
        if self.firstError == nil { self.firstError = error }
        context.fireErrorCaught(error)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head:
            self.isReadingRequest = true
            self.unanswered += 1
        case .body:
            break
        case .end:
            self.isReadingRequest = false
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        // A request whose body turns out to be broken after it was answered: a second answer would be taken for that to
        // the next request.
        case .head where self.isReadingRequest && self.unanswered == 0:
            self.isDropping = true
            promise?.succeed()
        case _ where self.isDropping:
            promise?.succeed()
            context.close(promise: nil)
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
            self.unanswered = max(0, self.unanswered - 1)
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
