import NIOCore
import NIOEmbedded
import Testing

@testable import Client

@Suite struct DepartureHandlerTests {
    private func makeChannel(_ handler: DepartureHandler) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(handler: handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return channel
    }

    @Test func aPeerThatSendsNoMoreHasGone() throws {
        let handler = DepartureHandler()
        let channel = try self.makeChannel(handler)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.outputClosed)
        #expect(!handler.departure.isOpen)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(handler.departure.isOpen)
        #expect(channel.isActive)
    }

    @Test func theEndOfTheConnectionIsADeparture() throws {
        let handler = DepartureHandler()
        let channel = try self.makeChannel(handler)
        _ = try channel.finish()
        #expect(handler.departure.isOpen)
    }
}
