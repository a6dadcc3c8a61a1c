import NIOCore

/// Notices that the peer of a connection has gone, so that nobody waits on its behalf.
///
/// A peer that has closed its sending side counts as gone. It could still take an answer; but so few do so that HTTP
/// servers commonly read it as a farewell.
final class DepartureHandler: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    /// Opens when the peer has gone.
    let departure = Gate()

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { self.departure.open() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.departure.open()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.departure.open()
    }
}
