import NIOCore
import NIOHTTP1

/// Writes a connection's responses, one at a time: as fast as the peer takes them and the memory allows.
final class HTTPResponseWriter {
    struct Outgoing {
        /// Until it has been written.
        var head: HTTPResponseHead?
        /// What is to be written next.
        var part: ByteBuffer?
        var rest: HTTPResponse.Parts?
        let isLast: Bool
        let whenAcknowledged: (@Sendable () -> Void)?
    }

    /// After so many parts of a body the event loop's other connections have their turn.
    private static let partsInARow = 8
    /// Parts up to this size are not counted: there is at most one at a time that the peer has not taken.
    private static let uncountedBytes = 4096
    /// How long to wait for memory for a part.
    private static let retryDelay = TimeAmount.milliseconds(20)

    private let limits: HTTPLimits
    private let memory: HTTPMemory
    private var date = HTTPDate()
    private var outgoing: Outgoing?
    private var isWriting = false
    private var retry: Scheduled<Void>?
    /// Called when all but the end of a response has been written.
    var whenWritten: ((Outgoing, ChannelHandlerContext) -> Void)?

    init(limits: HTTPLimits, memory: HTTPMemory) {
        self.limits = limits
        self.memory = memory
    }

    /// - Parameter request: What is answered; `nil` if that could not be read.
    func write(
        _ response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool,
        _ context: ChannelHandlerContext
    ) {
        let hasBody = request?.method != .HEAD
        self.outgoing = Outgoing(
            head: self.head(of: response, to: request, isLast: isLast),
            part: hasBody ? response.body : nil,
            rest: hasBody ? response.rest : nil,
            isLast: isLast,
            whenAcknowledged: response.whenAcknowledged
        )
        self.resume(context)
    }

    /// Releases what has not been written: the connection has ended.
    func abandon() {
        self.outgoing = nil
        self.whenWritten = nil
        self.retry?.cancel()
    }

    private func head(
        of response: HTTPResponse,
        to request: HTTPRequestHead?,
        isLast: Bool
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(6)
        if !response.headers.contains(name: "Content-Type") {
            headers.add(name: "Content-Type", value: "application/json")
        }
        if response.rest == nil {
            headers.add(name: "Content-Length", value: String(response.body.readableBytes))
        } else if request?.version == .http1_1, request?.method != .HEAD {
            headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        headers.add(name: "Date", value: self.date.now())
        if isLast {
            headers.add(name: "Connection", value: "close")
        } else {
            headers.add(name: "Connection", value: "keep-alive")
            // A little less than the truth, for what is on its way at the end.
            let seconds = self.limits.idleTimeout.components.seconds
            headers.add(name: "Keep-Alive", value: "timeout=\(max(1, seconds - seconds / 20))")
        }
        headers.add(contentsOf: response.headers)
        return HTTPResponseHead(version: request?.version ?? .http1_1, status: response.status, headers: headers)
    }

    /// Writes on as long as the peer takes it.
    func resume(_ context: ChannelHandlerContext) {
        guard !self.isWriting else { return }
        self.isWriting = true
        var parts = 0
        while self.outgoing != nil, context.channel.isActive, context.channel.isWritable {
            guard parts < Self.partsInARow, self.writePart(context) else {
                let delay = parts < Self.partsInARow ? Self.retryDelay : .zero
                self.retry = context.eventLoop.assumeIsolated().scheduleTask(in: delay) { self.resume(context) }
                break
            }
            parts += 1
        }
        self.isWriting = false
    }

    /// Writes a part of the response. Returns `false` if there is no memory for it now.
    private func writePart(_ context: ChannelHandlerContext) -> Bool {
        guard var outgoing = self.outgoing.take() else { return true }
        let part = outgoing.part.take() ?? outgoing.rest?.next()
        var promise: EventLoopPromise<Void>?
        if let bytes = part?.readableBytes, bytes > Self.uncountedBytes {
            guard self.memory.reserve(bytes) else {
                outgoing.part = part
                self.outgoing = outgoing
                return false
            }
            promise = context.eventLoop.makePromise()
            promise?.futureResult.whenComplete { [memory] _ in memory.release(bytes) }
        }
        if let head = outgoing.head.take() { context.write(HTTPHandler.wrapOutboundOut(.head(head)), promise: nil) }
        if let part { context.write(HTTPHandler.wrapOutboundOut(.body(.byteBuffer(part))), promise: promise) }
        if outgoing.rest == nil || part == nil {
            self.whenWritten?(outgoing, context)
        } else {
            self.outgoing = outgoing
            context.flush()
        }
        return true
    }
}

@available(*, unavailable)
extension HTTPResponseWriter: Sendable {}
