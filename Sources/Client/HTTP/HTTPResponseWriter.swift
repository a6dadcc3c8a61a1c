import NIOCore
import NIOHTTP1

/// Writes the responses of a connection, one after the other: when the connection takes it, and of a long body part by part.
final class HTTPResponseWriter {
    private struct Outgoing {
        let response: HTTPResponse
        let request: HTTPRequestHead?
        let isLast: Bool
    }

    /// After so many parts of a body the event loop's other connections have their turn.
    private static let partsInARow = 8

    /// Its own, as one for all connections would be locked by all event loops.
    private var date = HTTPDate()
    /// What has not been begun, as the peer takes nothing.
    private var next: Outgoing?
    private var rest: HTTPResponse.Parts?
    private var isChunked = false
    private var isWritingRest = false
    private var isResumeScheduled = false
    private var ended: (() -> Void)?
    private var completion: (() -> Void)?

    /// Writes a response, when the one before has ended.
    ///
    /// - Parameters:
    ///   - request: What it answers; `nil` when that could not be read.
    ///   - isLast: Whether the connection ends after it.
    ///   - ended: Called when the end has been written: the next response may be written.
    ///   - completion: Called once the whole response has been handed to the system; never when the connection breaks before.
    func write(
        _ response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool,
        _ context: ChannelHandlerContext,
        ended: @escaping () -> Void,
        completion: @escaping () -> Void
    ) {
        self.ended = ended
        self.completion = completion
        self.next = Outgoing(response: response, request: request, isLast: isLast)
        self.resume(context)
    }

    /// Goes on with what there is, if the connection takes more.
    func resume(_ context: ChannelHandlerContext) {
        if self.rest != nil {
            self.writeRest(context)
        } else if context.takesMore, let next = self.next.take() {
            self.begin(next, context)
        }
    }

    /// Lets go of what has not been written: the connection is gone.
    func abandon() {
        self.next = nil
        self.rest = nil
        self.ended = nil
        self.completion = nil
    }

    private func begin(_ next: Outgoing, _ context: ChannelHandlerContext) {
        let bytes = next.response.encoded(to: next.request, isLast: next.isLast, date: self.date.now())
        guard let rest = next.response.rest, next.request?.method != .HEAD else {
            return self.end(with: bytes, context)
        }
        self.rest = rest
        self.isChunked = next.request?.version != .http1_0
        context.writeAndFlush(HTTPConnection.wrapOutboundOut(bytes), promise: nil)
        self.writeRest(context)
    }

    private func writeRest(_ context: ChannelHandlerContext) {
        // A flush may make the connection writable, which calls this again.
        guard self.rest != nil, !self.isWritingRest, !self.isResumeScheduled else { return }
        self.isWritingRest = true
        var parts = 0
        while parts < Self.partsInARow, context.takesMore, let part = self.rest?.next() {
            context.writeAndFlush(HTTPConnection.wrapOutboundOut(self.isChunked ? part.chunk : part), promise: nil)
            parts += 1
        }
        self.isWritingRest = false
        if parts == Self.partsInARow {
            self.isResumeScheduled = true
            context.eventLoop.assumeIsolated().execute {
                self.isResumeScheduled = false
                self.writeRest(context)
            }
        } else if context.takesMore {
            self.rest = nil
            self.end(with: self.isChunked ? .lastChunk : ByteBuffer(), context)
        }
    }

    private func end(with bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let promise = context.eventLoop.makePromise(of: Void.self)
        if let completion = self.completion.take() { promise.futureResult.assumeIsolated().whenSuccess(completion) }
        context.writeAndFlush(HTTPConnection.wrapOutboundOut(bytes), promise: promise)
        self.ended.take()?()
    }
}

extension ChannelHandlerContext {
    /// Whether the connection is there, and its peer has taken nearly all that was written before.
    fileprivate var takesMore: Bool { self.channel.isActive && self.channel.isWritable }
}

@available(*, unavailable)
extension HTTPResponseWriter: Sendable {}
