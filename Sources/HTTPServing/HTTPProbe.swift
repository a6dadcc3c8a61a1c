internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Asks a server on this machine for the status of a path, as health checks do.
public enum HTTPProbe {
    /// The status of `GET path`.
    ///
    /// - Parameter timeout: For the whole exchange.
    /// - Throws: An error of the connection, or ``NoAnswer``.
    public static func status(of path: String, host: String, port: Int, timeout: Duration) async throws -> UInt {
        let timeout = TimeAmount(timeout)
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connectTimeout(timeout)
            .connect(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        let tooLate = channel.channel.eventLoop.scheduleTask(in: timeout) { channel.channel.close(promise: nil) }
        defer { tooLate.cancel() }
        return try await channel.executeThenClose { responses, requests in
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path)
            head.headers = ["Host": "localhost", "Connection": "close"]
            try await requests.write(.head(head))
            try await requests.write(.end(nil))
            for try await case .head(let head) in responses { return head.status.code }
            throw NoAnswer()
        }
    }

    /// The server closed the connection without an answer, or gave none in time.
    public struct NoAnswer: Error, CustomStringConvertible {
        public var description: String { "no answer" }
    }
}
