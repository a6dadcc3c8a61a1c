import NIOCore

/// Ends a connection whose peer is too slow: one that sends nothing, or a request bit by bit, or does not take its answer.
///
/// The connection tells it what happens, on its event loop.
final class ConnectionGuard {
    private let limits: HTTPLimits

    /// Since when the peer owes a request's head, or its end after the last response; `nil` while a request is being answered.
    private var idleSince: NIODeadline?
    private var idleDeadline: Scheduled<Void>?
    private var requestDeadline: Scheduled<Void>?
    private var stallDeadline: Scheduled<Void>?

    init(limits: HTTPLimits) {
        self.limits = limits
    }

    func connectionBegan(_ context: ChannelHandlerContext) {
        self.idleSince = context.eventLoop.now
        self.watchIdleness(in: TimeAmount(self.limits.idleTimeout), context)
    }

    /// A request's head has come.
    func requestBegan() {
        self.idleSince = nil
    }

    /// Of a request some has been read, and not all. Most come in one piece, and need no timer.
    ///
    /// - Parameter expired: Called when it has not been ended in the time that it has.
    func requestGoesOn(_ context: ChannelHandlerContext, expired: @escaping () -> Void) {
        guard self.requestDeadline == nil else { return }
        self.requestDeadline = self.schedule(in: TimeAmount(self.limits.requestTimeout), context, expired)
    }

    /// A request has come whole, or is not waited for any longer.
    func requestEnded() {
        self.requestDeadline?.cancel()
        self.requestDeadline = nil
    }

    /// The end of a response has been written: the next request may begin.
    func responseEnded(_ context: ChannelHandlerContext) {
        self.idleSince = context.eventLoop.now
    }

    /// The system has all of a response only now.
    func responseWritten(_ context: ChannelHandlerContext) {
        if self.idleSince != nil { self.idleSince = context.eventLoop.now }
    }

    func writabilityChanged(_ context: ChannelHandlerContext) {
        self.stallDeadline?.cancel()
        self.stallDeadline = nil
        if !context.channel.isWritable {
            self.stallDeadline = self.schedule(in: TimeAmount(self.limits.stallTimeout), context) {
                context.close(promise: nil)
            }
        }
    }

    func connectionEnded() {
        self.idleDeadline?.cancel()
        self.requestDeadline?.cancel()
        self.stallDeadline?.cancel()
    }

    /// One timer for a connection's whole life, which looks how long it has been idle: to set one for each request costs more.
    private func watchIdleness(in timeout: TimeAmount, _ context: ChannelHandlerContext) {
        self.idleDeadline = self.schedule(in: timeout, context) { [self] in
            let timeout = TimeAmount(self.limits.idleTimeout)
            let left = (self.idleSince ?? context.eventLoop.now) + timeout - context.eventLoop.now
            if left > .zero {
                self.watchIdleness(in: left, context)
            } else {
                context.close(promise: nil)
            }
        }
    }

    private func schedule(
        in timeout: TimeAmount,
        _ context: ChannelHandlerContext,
        _ action: @escaping () -> Void
    ) -> Scheduled<Void> {
        context.eventLoop.assumeIsolated().scheduleTask(in: timeout, action)
    }
}

@available(*, unavailable)
extension ConnectionGuard: Sendable {}
