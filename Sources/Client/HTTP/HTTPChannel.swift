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

/// Sets up the connections of the HTTP server, and answers those of their requests for which something is waited for.
struct HTTPChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        fileprivate let connection: NIOLoopBound<HTTPConnection>
        fileprivate let departure: Gate
        fileprivate let deferred: AsyncStream<HTTPReply.Deferred>
    }

    private static let unsentBytes = 128 * 1024

    let limits: HTTPLimits
    /// The longest body of a request that is taken, in bytes.
    let greatestBodyBytes: Int
    let reply: @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let (deferred, continuation) = AsyncStream.makeStream(of: HTTPReply.Deferred.self)
            let connection = HTTPConnection(
                greatestBodyBytes: self.greatestBodyBytes,
                reply: self.reply,
                deferred: continuation
            )
            let pipeline = channel.pipeline.syncOperations
            // The system keeps little that the peer has not been sent, so that a slow peer is not taken for one that takes nothing.
            // A peer that has gone already may make it fail, and is noticed soon enough.
            try? channel.syncOptions?.setOption(.notSentLowWatermark, value: Self.unsentBytes)
            let decoder = HTTPRequestDecoder(limitConfiguration: self.limits.decoderLimits)
            try pipeline.addHandlers(
                HTTPResponseEncoder(),
                // Beside header fields the decoder has no limits, and it holds what it cannot make anything of.
                ByteToMessageHandler(decoder, maximumBufferSize: 2 * self.limits.headerBytes),
                HTTPEventTranslator(),
                HTTPServerPipelineHandler(),
                ConnectionGuard(limits: self.limits),
                connection
            )
            return Value(
                channel: channel,
                connection: NIOLoopBound(connection, eventLoop: channel.eventLoop),
                departure: connection.departure,
                deferred: deferred
            )
        }
    }

    /// Returns when the connection has ended. When the task is cancelled, it ends the connection.
    func handle(value: Value, logger: Logger) async {
        for await deferred in value.deferred {
            let response = await Self.response(deferred, value.departure)
            value.channel.eventLoop.execute { value.connection.value.respondToDeferred(response) }
        }
        value.channel.close(promise: nil)
    }

    private static func response(_ deferred: HTTPReply.Deferred, _ departure: Gate) async -> HTTPResponse {
        do throws(HTTPFailure) {
            return try await deferred(departure)
        } catch {
            return error.response
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
