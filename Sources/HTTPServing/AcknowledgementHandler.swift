import Glibc
import NIOCore

/// Knows how much of what was written the peer's TCP has acknowledged: the handler next to the socket.
///
/// It calls back when a response has been acknowledged, closes the connection of a peer that reads too slowly, and delays
/// closing while something is still on its way.
final class AcknowledgementHandler: ChannelDuplexHandler {
    typealias InboundIn = NIOAny
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private static let firstPoll = TimeAmount.milliseconds(1)

    private let window: TimeAmount
    private var context: ChannelHandlerContext?
    private var written = 0
    /// What to call once so many bytes have been acknowledged.
    private var callbacks = CircularBuffer<(bytes: Int, action: () -> Void)>(initialCapacity: 0)
    private var pendingClose: (mode: CloseMode, promise: EventLoopPromise<Void>?)?

    private var poll: Scheduled<Void>?
    private var pollDelay = firstPoll
    private var lastPoll = NIODeadline.distantPast
    private var lastAcknowledged = 0
    private var lastProgress = 0
    /// How long the peer may still read nothing.
    private var credit = TimeAmount.zero

    /// - Parameter window: A peer must read at ``HTTPLimits/minimumResponseRate`` on average over this time.
    init(window: Duration) {
        self.window = TimeAmount(window)
    }

    /// Calls back once the peer has acknowledged all that has been written so far; releases the action if it never does.
    func whenAcknowledged(_ action: @escaping () -> Void) {
        callbacks.append((written, action))
        callBack()
        startPolling()
    }

    /// Whether a callback waits.
    var isWaiting: Bool { !callbacks.isEmpty }

    /// Whether the peer has acknowledged anything since the last call, or has nothing to acknowledge.
    func hasProgressed() -> Bool {
        guard let context, context.channel.isActive else { return true }
        let acknowledged = context.acknowledged(of: written)
        defer { lastProgress = acknowledged }
        return acknowledged > lastProgress || acknowledged >= written
    }

    /// Closes the connection at once.
    func abort() {
        context?.close(mode: .all, promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        poll?.cancel()
        pendingClose?.promise?.succeed()
        callbacks.removeAll()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        written += Self.unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { startPolling() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // NIO is about to close the socket.
        callBack()
        context.fireErrorCaught(error)
    }

    /// Closes once everything has been sent and the callbacks have been called.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard context.channel.isActive, pendingClose == nil, !isFlushed(context) else {
            return context.close(mode: mode, promise: promise)
        }
        pendingClose = (mode, promise)
        startPolling()
    }

    private func isFlushed(_ context: ChannelHandlerContext) -> Bool {
        callbacks.isEmpty && context.bufferedBytes == 0
    }

    private func callBack() {
        guard let first = callbacks.first, let context, context.channel.isActive else { return }
        let acknowledged = context.acknowledged(of: written)
        guard first.bytes <= acknowledged else { return }
        while let next = callbacks.first, next.bytes <= acknowledged {
            callbacks.removeFirst()
            next.action()
        }
    }

    // MARK: Polling

    /// Looks at what the peer has acknowledged, first after a moment, then less and less often.
    private func startPolling() {
        guard poll == nil, let context, needsPolling(context) else { return }
        pollDelay = Self.firstPoll
        lastPoll = context.eventLoop.now
        lastAcknowledged = context.acknowledged(of: written)
        credit = window
        schedulePoll(context)
    }

    private func needsPolling(_ context: ChannelHandlerContext) -> Bool {
        !callbacks.isEmpty || pendingClose != nil || !context.channel.isWritable
    }

    private func schedulePoll(_ context: ChannelHandlerContext) {
        poll = context.eventLoop.assumeIsolated().scheduleTask(in: pollDelay) { [self] in
            poll = nil
            polled()
        }
        let longest = TimeAmount.nanoseconds(window.nanoseconds / 60)
        pollDelay = max(Self.firstPoll, min(pollDelay * 2, longest))
    }

    private func polled() {
        guard let context, context.channel.isActive else { return }
        callBack()
        if let close = pendingClose, isFlushed(context) {
            pendingClose = nil
            return context.close(mode: close.mode, promise: close.promise)
        }
        guard needsPolling(context) else { return }
        let now = context.eventLoop.now
        let acknowledged = context.acknowledged(of: written)
        // Each second costs one second of credit; what a peer must read in a second gains one. A slow reader's TCP
        // acknowledges much at once and then nothing for long, so the credit may reach twice the window.
        let gained = 1000 * (acknowledged - lastAcknowledged) / HTTPLimits.minimumResponseRate
        credit = min(credit - (now - lastPoll) + .milliseconds(Int64(gained)), window * 2)
        lastPoll = now
        lastAcknowledged = acknowledged
        if credit > .zero { schedulePoll(context) } else { abort() }
    }
}

extension ChannelHandlerContext {
    /// What has been written and NIO has not passed to the system.
    fileprivate var bufferedBytes: Int {
        (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// How much of what has been written the peer's TCP has acknowledged.
    fileprivate func acknowledged(of written: Int) -> Int {
        let unacknowledged = try? channel.pipeline.syncOperations
            .withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
                var count: Int32 = 0
                return ioctl(socket, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
            }
        return written - bufferedBytes - (unacknowledged ?? 0)
    }
}
