import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Sets up the connections of the HTTP server, and waits for what their requests wait for.
struct HTTPChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        fileprivate let connection: NIOLoopBound<HTTPConnection>
        fileprivate let departure: Gate
        fileprivate let waits: AsyncStream<HTTPReply.Wait>
    }

    private static let unsentBytes = 128 * 1024

    let limits: HTTPLimits
    /// The longest body of a request that is taken, in bytes.
    let greatestBodyBytes: Int
    let reply: @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let (waits, continuation) = AsyncStream.makeStream(of: HTTPReply.Wait.self)
            let connection = HTTPConnection(
                greatestBodyBytes: self.greatestBodyBytes,
                connectionGuard: ConnectionGuard(limits: self.limits),
                reply: self.reply,
                waits: continuation
            )
            let pipeline = channel.pipeline.syncOperations
            // The system keeps little that the peer has not been sent, so that a slow peer is not taken for one that takes nothing.
            // A peer that has gone already may make it fail, and is noticed soon enough.
            try? channel.syncOptions?.setOption(.notSentLowWatermark, value: Self.unsentBytes)
            let decoder = HTTPRequestDecoder(limitConfiguration: self.limits.decoderLimits)
            try pipeline.addHandlers(
                // Beside header fields the decoder has no limits, and it holds what it cannot make anything of.
                ByteToMessageHandler(decoder, maximumBufferSize: 2 * self.limits.headerBytes),
                connection
            )
            return Value(
                channel: channel,
                connection: NIOLoopBound(connection, eventLoop: channel.eventLoop),
                departure: connection.departure,
                waits: waits
            )
        }
    }

    /// Returns when the connection has ended, and what was under way for it. When the task is cancelled, it gives that up, and
    /// closes the connection.
    func handle(value: Value, logger: Logger) async {
        let loop = value.channel.eventLoop
        for await wait in value.waits {
            let reply = await Self.outcome(of: wait, value.departure)
            loop.execute { value.connection.value.answer(reply) }
        }
        // Where the task has been cancelled, the connection is still there.
        loop.execute { value.connection.value.cancel() }
        try? await value.channel.closeFuture.get()
    }

    private static func outcome(of wait: HTTPReply.Wait, _ departure: Gate) async -> Result<HTTPReply, HTTPFailure> {
        do throws(HTTPFailure) {
            return .success(try await wait(departure))
        } catch {
            return .failure(error)
        }
    }
}

extension ChannelOption where Self == ChannelOptions.Types.SocketOption {
    /// The socket is writable while the system holds fewer bytes than this that have not been sent.
    fileprivate static var notSentLowWatermark: Self { Self(level: .tcp, name: .init(rawValue: TCP_NOTSENT_LOWAT)) }
}

extension HTTPLimits {
    fileprivate var decoderLimits: NIOHTTPDecoderLimitConfiguration {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = self.headerBytes / 2
        limits.maxHeaderListSize = self.headerBytes
        limits.maxHeaderFieldCount = self.headerFields
        return limits
    }
}
