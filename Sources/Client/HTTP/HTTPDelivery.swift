import Glibc
import NIOCore

/// Knows how much of what was written the peer's TCP has acknowledged: the handler next to the socket.
///
/// An answer is delivered then and not before, a peer that takes too little is cut off, and the connection is not closed while
/// something is on its way.
final class HTTPDelivery: ChannelDuplexHandler {
    typealias InboundIn = NIOAny
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private struct Acknowledgement {
        /// How much must have been acknowledged.
        let bytes: Int
        let action: () -> Void
    }

    private static let firstLook = TimeAmount.milliseconds(1)

    private let limits: HTTPLimits
    private var context: ChannelHandlerContext?
    private var written = 0
    private var acknowledgements = CircularBuffer<Acknowledgement>(initialCapacity: 0)
    private var closing: (mode: CloseMode, promise: EventLoopPromise<Void>?)?
    private var isComplete = false
    private var look: Scheduled<Void>?
    private var watchBegan = NIODeadline.distantPast
    private var lastLook = NIODeadline.distantPast
    private var lastAcknowledged = 0
    /// How long the peer may still take nothing.
    private var patience = TimeAmount.zero

    init(limits: HTTPLimits) {
        self.limits = limits
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        self.look?.cancel()
        self.closing?.promise?.succeed()
        // Released without a call.
        self.acknowledgements.removeAll()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if !self.acknowledgements.isEmpty { self.lookAtPeer() }
        context.fireChannelRead(data)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { self.lookAtPeer() }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The connection is about to be closed.
        self.lookAtPeer()
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        self.written += Self.unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
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

    /// Calls back once the peer has acknowledged all that has been written so far; releases the action if it never does.
    func whenAcknowledged(_ action: @escaping () -> Void) {
        self.acknowledgements.append(Acknowledgement(bytes: self.written, action: action))
        self.watch()
    }

    /// The last response has been written.
    func complete() {
        self.isComplete = true
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
                || (self.isComplete && !self.isAcknowledged)
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
                var count: Int32 = 0
                return ioctl(socket, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
            }
        return written - self.bufferedBytes - (unacknowledged ?? 0)
    }
}

private func / (amount: TimeAmount, divisor: Int) -> TimeAmount {
    .nanoseconds(amount.nanoseconds / Int64(divisor))
}

@available(*, unavailable)
extension HTTPDelivery: Sendable {}
