import NIOCore
import NIOHTTP1

/// Takes what arrives, before the decoder.
///
/// It gives the decoder small pieces, and nothing while a request is being answered: parsed requests need ten times their
/// bytes. It counts what the connection holds of the memory that all share.
final class HTTPIntake: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = NIOAny

    private static let pieceBytes = 1024
    /// What a request costs beside its bytes: the pipeline's state, and a piece full of requests.
    private static let requestBytes = 16 * 1024

    /// Why the connection ends, when it is not the decoder that refuses what has come.
    private(set) var refusal: HTTPFailure?
    /// Called when the server stops.
    var onQuiesce: (() -> Void)?

    private let limits: HTTPLimits
    private let memory: HTTPMemory
    private var context: ChannelHandlerContext?

    private var held = ByteBuffer()
    /// Of ``memory``.
    private var charged = 0
    private var isHolding = false
    private var isDiscarding = false
    private var isPumping = false
    private var isReadPending = false
    private var isEndPending = false
    /// What the decoder has been given of the request, and how much of that is known to be its body.
    private var requestRead = 0
    private var bodyRead = 0
    private var isHeadRead = false
    /// The length of the request's first line, as far as it is known, and whether it has ended.
    private var lineBytes = 0
    private var isLineRead = false
    private var hasEndInPiece = false

    init(limits: HTTPLimits, memory: HTTPMemory) {
        self.limits = limits
        self.memory = memory
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.onQuiesce = nil
        self.held = ByteBuffer()
        self.charge(to: 0)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDiscarding else { return }
        var bytes = self.unwrapInboundIn(data)
        // A body is held in a buffer that may be twice as big.
        let cost = 2 * bytes.readableBytes + (self.charged == 0 ? Self.requestBytes : 0)
        if self.memory.reserve(cost) {
            self.charged += cost
        } else if self.charged > 0 || !bytes.isHealthCheck {
            return self.refuse(.outOfMemory)
        }
        if self.held.readableBytes == 0 { self.held = bytes } else { self.held.writeBuffer(&bytes) }
        self.pump()
    }

    func read(context: ChannelHandlerContext) {
        if self.isHolding, !self.isDiscarding { self.isReadPending = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            self.isEndPending = true
            self.pump()
        case is ChannelShouldQuiesceEvent:
            context.fireUserInboundEventTriggered(event)
            self.onQuiesce?()
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    /// A request's head has been read.
    func requestBegan() {
        self.isHeadRead = true
        self.requestRead = 0
        self.bodyRead = 0
    }

    func bodyArrived(_ bytes: Int) {
        self.bodyRead += bytes
    }

    /// A request has come whole: what follows waits until it has been answered.
    func requestEnded() {
        self.isHolding = true
        self.hasEndInPiece = true
    }

    /// The response is about to be ended.
    func responseEnds() {
        self.isHolding = false
        self.isHeadRead = false
        self.requestRead = 0
        let held = self.held.readableBytes
        self.charge(to: held == 0 ? 0 : min(self.charged, 2 * held + Self.requestBytes))
    }

    /// Goes on with what has come, after a response.
    func resume() {
        self.pump()
        if self.isReadPending, !self.isHolding {
            self.isReadPending = false
            self.context?.read()
        }
    }

    /// Ignores all that comes from now on, but its end.
    func discard() {
        self.isDiscarding = true
        self.held = ByteBuffer()
        self.charge(to: 0)
        self.isHolding = false
        self.resume()
    }

    /// Whether what was too long for the decoder was the request's target.
    var isTargetTooLong: Bool { !self.isHeadRead && self.lineBytes > self.limits.headerBytes / 2 }

    private func pump() {
        guard !self.isPumping, let context = self.context else { return }
        self.isPumping = true
        while !self.isHolding, !self.isDiscarding,
            let piece = self.held.readSlice(length: min(Self.pieceBytes, self.held.readableBytes)),
            piece.readableBytes > 0
        {
            self.feed(piece, context)
        }
        if self.held.readableBytes == 0 {
            self.held = ByteBuffer()
            if self.isEndPending {
                self.isEndPending = false
                context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            }
        }
        self.isPumping = false
    }

    private func feed(_ piece: ByteBuffer, _ context: ChannelHandlerContext) {
        self.requestRead += piece.readableBytes
        if !self.isHeadRead, !self.isLineRead {
            let end = piece.withUnsafeReadableBytes { $0.firstIndex(of: UInt8(ascii: "\n")) }
            self.lineBytes += end ?? piece.readableBytes
            self.isLineRead = end != nil
        }
        self.hasEndInPiece = false
        context.fireChannelRead(Self.wrapInboundOut(piece))
        context.fireChannelReadComplete()
        // The next request may begin in the same piece.
        if self.hasEndInPiece {
            self.lineBytes = 0
            self.isLineRead = piece.hasLineAfterLastHead
        }
        // The decoder bounds fields and target, but neither white space before them nor what is around chunks.
        if !self.isHeadRead, self.requestRead > 2 * self.limits.headerBytes {
            self.refuse(self.isTargetTooLong ? .targetTooLong : .headersTooLong)
        } else if self.isHeadRead, self.requestRead > self.limits.headerBytes + 9 * self.bodyRead {
            self.refuse(.notHTTP)
        }
    }

    /// Has the connection end with an answer. As an error of the decoder it has its turn.
    private func refuse(_ failure: HTTPFailure) {
        guard self.refusal == nil else { return }
        self.refusal = failure
        self.isDiscarding = true
        self.held = ByteBuffer()
        self.context?.fireErrorCaught(HTTPParserError.unknown)
    }

    private func charge(to bytes: Int) {
        self.memory.release(self.charged - bytes)
        self.charged = bytes
    }
}

extension ByteBuffer {
    /// Whether it is no more than a question for the program's health, which is answered however little memory is left.
    fileprivate var isHealthCheck: Bool {
        self.readableBytes <= 1024 && self.withUnsafeReadableBytes { $0.starts(with: "GET /healthz ".utf8) }
    }

    /// Whether a line ends after what looks like the last end of a head.
    fileprivate var hasLineAfterLastHead: Bool {
        self.withUnsafeReadableBytes { bytes in
            var end = bytes.endIndex
            while let line = bytes[..<end].lastIndex(of: UInt8(ascii: "\n")) {
                if bytes[..<line].suffix(2).elementsEqual("\n\r".utf8) { return end != bytes.endIndex }
                end = line
            }
            return false
        }
    }
}

@available(*, unavailable)
extension HTTPIntake: Sendable {}
