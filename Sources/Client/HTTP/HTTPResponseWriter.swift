import NIOCore
import NIOHTTP1

/// Writes the responses of a connection, one after the other: of a long body a part is made when the connection takes it.
final class HTTPResponseWriter {
    /// After so many parts of a body the event loop's other connections have their turn.
    private static let partsInARow = 8

    /// Called before the end of each response is written.
    private let willEnd: (ChannelHandlerContext) -> Void
    private var rest: HTTPResponse.Parts?
    private var isWritingRest = false
    private var isResumeScheduled = false
    private var completion: (() -> Void)?

    init(willEnd: @escaping (ChannelHandlerContext) -> Void) {
        self.willEnd = willEnd
    }

    /// Begins to write a response.
    ///
    /// - Parameters:
    ///   - request: What it answers; `nil` when that could not be read.
    ///   - isLast: Whether the connection ends after it.
    ///   - completion: Called once the whole response has been handed to the system; never when the connection breaks before.
    func write(
        _ response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool,
        _ context: ChannelHandlerContext,
        completion: @escaping () -> Void
    ) {
        self.completion = completion
        self.write(.head(response.head(to: request, isLast: isLast)), context)
        guard request?.method != .HEAD else { return self.end(context) }
        if response.body.readableBytes > 0 { self.write(.body(.byteBuffer(response.body)), context) }
        guard let rest = response.rest else { return self.end(context) }
        self.rest = rest
        context.flush()
        self.resume(context)
    }

    /// Goes on with a long body, if there is one and the connection takes more.
    func resume(_ context: ChannelHandlerContext) {
        // A flush may make the connection writable, which calls this again.
        guard self.rest != nil, !self.isWritingRest, !self.isResumeScheduled else { return }
        self.isWritingRest = true
        var parts = 0
        while parts < Self.partsInARow, context.takesMore, let part = self.rest?.next() {
            self.write(.body(.byteBuffer(part)), context)
            context.flush()
            parts += 1
        }
        self.isWritingRest = false
        if parts == Self.partsInARow {
            self.isResumeScheduled = true
            context.eventLoop.assumeIsolated().execute {
                self.isResumeScheduled = false
                self.resume(context)
            }
        } else if context.takesMore {
            self.rest = nil
            self.end(context)
        }
    }

    /// Lets go of what has not been written: the connection is gone.
    func abandon() {
        self.rest = nil
        self.completion = nil
    }

    private func write(_ part: HTTPServerResponsePart, _ context: ChannelHandlerContext) {
        context.write(HTTPConnection.wrapOutboundOut(part), promise: nil)
    }

    /// Lets the next request through, whose response may be begun before this returns.
    private func end(_ context: ChannelHandlerContext) {
        self.willEnd(context)
        let promise = context.eventLoop.makePromise(of: Void.self)
        if let completion = self.completion.take() { promise.futureResult.assumeIsolated().whenSuccess(completion) }
        context.writeAndFlush(HTTPConnection.wrapOutboundOut(.end(nil)), promise: promise)
    }
}

extension ChannelHandlerContext {
    /// Whether the connection is there, and its peer has taken nearly all that was written before.
    var takesMore: Bool { self.channel.isActive && self.channel.isWritable }
}

@available(*, unavailable)
extension HTTPResponseWriter: Sendable {}
