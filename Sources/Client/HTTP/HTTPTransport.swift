import NIOCore
import NIOHTTP1

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The socket's side of a connection, before the decoder.
///
/// It gives the decoder what arrives in small pieces, and nothing while a request is being answered: parsed requests need
/// ten times their bytes. It counts what the connection holds. And it knows how much of what was written the peer's TCP
/// has acknowledged: an answer is delivered then, a peer that takes too little is cut off, and the connection is not
/// closed before.
final class HTTPTransport: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private struct Acknowledgement {
        /// How much must have been acknowledged.
        let bytes: Int
        let action: () -> Void
    }

    private static let pieceBytes = 1024
    /// What a request costs beside its bytes: the pipeline's state, and a piece full of requests.
    private static let requestBytes = 16 * 1024
    private static let firstLook = TimeAmount.milliseconds(1)

    /// Why the connection ends, when it is not the decoder that refuses what has come.
    private(set) var refusal: HTTPFailure?
    /// Called when the server stops.
    var onQuiesce: (() -> Void)?

    private let limits: HTTPLimits
    private let memory: HTTPMemory
    private var context: ChannelHandlerContext?

    // What has come.
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

    // What has been written.
    private var written = 0
    private var acknowledgements = CircularBuffer<Acknowledgement>(initialCapacity: 0)
    private var closing: (mode: CloseMode, promise: EventLoopPromise<Void>?)?
    private var look: Scheduled<Void>?
    private var watchBegan = NIODeadline.distantPast
    private var lastLook = NIODeadline.distantPast
    private var lastAcknowledged = 0
    /// How long the peer may still take nothing.
    private var patience = TimeAmount.zero

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
        self.look?.cancel()
        self.closing?.promise?.succeed()
        self.acknowledgements.removeAll()
        self.held = ByteBuffer()
        self.charge(to: 0)
    }
}

// MARK: - What comes

extension HTTPTransport {
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.isDiscarding else { return }
        if !self.acknowledgements.isEmpty { self.lookAtPeer() }
        var bytes = self.unwrapInboundIn(data)
        // A body is held in a buffer that may be twice as big.
        let cost = 2 * bytes.readableBytes + (self.charged == 0 ? Self.requestBytes : 0)
        guard self.memory.reserve(cost) else { return self.refuse(.outOfMemory) }
        self.charged += cost
        if self.held.readableBytes == 0 { self.held = bytes } else { self.held.writeBuffer(&bytes) }
        self.pump()
    }

    func read(context: ChannelHandlerContext) {
        if self.isHolding, !self.isDiscarding { self.isReadPending = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            self.lookAtPeer()
            self.isEndPending = true
            self.pump()
        case is ChannelShouldQuiesceEvent:
            context.fireUserInboundEventTriggered(event)
            self.onQuiesce?()
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The connection is about to be closed.
        self.lookAtPeer()
        context.fireErrorCaught(error)
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
        self.watch()
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

// MARK: - What goes

extension HTTPTransport {
    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        self.written += Self.unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
    }

    /// Calls back once the peer has acknowledged all that has been written so far; releases the action if it never does.
    func whenAcknowledged(_ action: @escaping () -> Void) {
        self.acknowledgements.append(Acknowledgement(bytes: self.written, action: action))
        self.watch()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { self.watch() }
        context.fireChannelWritabilityChanged()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard context.channel.isActive, mode != .input, !self.isDelivered(context) else {
            return context.close(mode: mode, promise: promise)
        }
        // To close it now could take from the peer what it has not been sent yet.
        if let closing = self.closing {
            promise?.futureResult.cascade(to: closing.promise)
            self.closing = (mode == .all ? .all : closing.mode, promise ?? closing.promise)
        } else {
            self.closing = (mode, promise)
        }
        self.watch()
    }

    /// Whether the peer has all that was written. The end of it counts as one byte.
    var isAcknowledged: Bool {
        self.closing == nil && (self.context?.acknowledged(of: self.written) ?? 0) >= self.written - 1
    }

    /// Closes the connection at once.
    func abort() {
        self.context?.close(mode: .all, promise: nil)
    }

    private func isDelivered(_ context: ChannelHandlerContext) -> Bool {
        self.acknowledgements.isEmpty && context.bufferedBytes == 0
    }

    /// Looks at the peer, first after a moment, then less and less often, as long as something depends on it.
    private func watch() {
        guard self.look == nil, let context = self.context else { return }
        self.watchBegan = context.eventLoop.now
        self.lastLook = self.watchBegan
        self.lastAcknowledged = context.acknowledged(of: self.written)
        self.patience = TimeAmount(self.limits.answerWindow)
        self.scheduleLook(in: Self.firstLook, context)
    }

    private func scheduleLook(in delay: TimeAmount, _ context: ChannelHandlerContext) {
        self.look = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            self.look = nil
            self.lookAtPeer()
            self.watchOn()
        }
    }

    private func watchOn() {
        guard let context = self.context, context.channel.isActive else { return }
        if let closing = self.closing, self.isDelivered(context) {
            self.closing = nil
            return context.close(mode: closing.mode, promise: closing.promise)
        }
        guard
            !self.acknowledgements.isEmpty || self.closing != nil || !context.channel.isWritable
                || (self.isDiscarding && !self.isAcknowledged)
        else { return }
        guard self.patience > .zero else { return self.abort() }
        let longest = TimeAmount(self.limits.answerWindow) / 60
        let elapsed = context.eventLoop.now - self.watchBegan
        self.scheduleLook(in: max(Self.firstLook, min(longest, elapsed / 4)), context)
    }

    /// Takes note of what the peer has acknowledged.
    private func lookAtPeer() {
        guard let context = self.context, context.channel.isActive else { return }
        let acknowledged = context.acknowledged(of: self.written)
        while let next = self.acknowledgements.first, next.bytes <= acknowledged {
            self.acknowledgements.removeFirst()
            next.action()
        }
        let now = context.eventLoop.now
        // Each second costs one second, and what a peer must take in a second gains one. Twice the time may be gained: a
        // slow reader's TCP acknowledges much at once, and then nothing for long.
        let gained = TimeAmount.seconds(1) * (acknowledged - self.lastAcknowledged) / HTTPLimits.leastAnswerRate
        self.patience = min(self.patience - (now - self.lastLook) + gained, TimeAmount(self.limits.answerWindow * 2))
        self.lastLook = now
        self.lastAcknowledged = acknowledged
    }
}

extension ChannelHandlerContext {
    /// What has been written and is not with the system.
    fileprivate var bufferedBytes: Int {
        (try? self.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// How much of what has been written the peer's TCP has acknowledged.
    fileprivate func acknowledged(of written: Int) -> Int {
        let unacknowledged = try? self.channel.pipeline.syncOperations
            .withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
                #if os(Linux)
                var count: Int32 = 0
                return ioctl(socket, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
                #else
                return 0
                #endif
            }
        return written - self.bufferedBytes - (unacknowledged ?? 0)
    }
}

extension ByteBuffer {
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

private func / (amount: TimeAmount, divisor: Int) -> TimeAmount {
    .nanoseconds(amount.nanoseconds / Int64(divisor))
}

@available(*, unavailable)
extension HTTPTransport: Sendable {}
