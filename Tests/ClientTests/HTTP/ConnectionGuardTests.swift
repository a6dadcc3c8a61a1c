import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import Client

@Suite struct ConnectionGuardTests {
    private func makeChannel() throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(
            handler: ConnectionGuard(requestTimeout: .seconds(30), stallTimeout: .seconds(20))
        )
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return channel
    }

    private static let head = HTTPRequestPart.head(
        HTTPRequest(method: .post, scheme: "http", authority: "a", path: "/sendMessage")
    )

    @Test func aRequestThatTakesTooLongIsBrokenOff() throws {
        let channel = try self.makeChannel()
        try channel.writeInbound(Self.head)
        channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        // A byte now and then gains no time.
        try channel.writeInbound(HTTPRequestPart.body(ByteBuffer(string: "x")))
        try channel.throwIfErrorCaught()
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(throws: RequestTimeout.self) { try channel.throwIfErrorCaught() }
    }

    @Test func aRequestThatEndsInTimeIsLeftAlone() throws {
        let channel = try self.makeChannel()
        for _ in 0..<2 {
            try channel.writeInbound(Self.head)
            channel.embeddedEventLoop.advanceTime(by: .seconds(29))
            try channel.writeInbound(HTTPRequestPart.end(nil))
        }
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        try channel.throwIfErrorCaught()
        #expect(channel.isActive)
    }

    @Test func aPeerThatDoesNotReadIsCutOff() throws {
        let channel = try self.makeChannel()
        self.setWritable(false, channel)
        channel.embeddedEventLoop.advanceTime(by: .seconds(19))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test func aPeerThatReadsNowAndThenIsLeftAlone() throws {
        let channel = try self.makeChannel()
        for _ in 0..<3 {
            self.setWritable(false, channel)
            channel.embeddedEventLoop.advanceTime(by: .seconds(19))
            self.setWritable(true, channel)
        }
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        #expect(channel.isActive)
    }

    @Test func noTimerOutlivesItsConnection() throws {
        let channel = try self.makeChannel()
        try channel.writeInbound(Self.head)
        self.setWritable(false, channel)
        _ = try channel.finish(acceptAlreadyClosed: true)
        channel.embeddedEventLoop.advanceTime(by: .hours(1))
        try channel.throwIfErrorCaught()
    }

    private func setWritable(_ isWritable: Bool, _ channel: EmbeddedChannel) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }
}
