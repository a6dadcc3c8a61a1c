import NIOCore
import NIOHTTP1
import NIOPosix

/// Sends requests to an HTTP server on this machine, each on a connection of its own.
struct HTTPTestClient {
    struct Response {
        let head: HTTPResponseHead
        let body: ByteBuffer

        var status: HTTPResponseStatus { self.head.status }
        var text: String { String(buffer: self.body) }

        func header(_ name: String) -> String? { self.head.headers.first(name: name) }
    }

    let port: Int
    /// Tells the server to stop once the requests under way have been answered.
    let shutDown: @Sendable () async -> Void

    /// Sends a request, and returns what `check` makes of the response.
    @discardableResult
    func execute<Value>(
        uri: String,
        method: HTTPMethod,
        headers: HTTPHeaders = [:],
        body: ByteBuffer = ByteBuffer(),
        check: (Response) throws -> Value
    ) async throws -> Value {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers)
        head.headers.add(name: "Host", value: "localhost")
        head.headers.add(name: "Content-Length", value: String(body.readableBytes))
        return try check(try await self.response(to: [.head(head), .body(.byteBuffer(body)), .end(nil)]))
    }

    private func response(to request: [HTTPClientRequestPart]) async throws -> Response {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: self.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(contentsOf: request)
            var head: HTTPResponseHead?
            var body = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let part): head = part
                case .body(let part): body.writeImmutableBuffer(part)
                case .end:
                    if let head { return Response(head: head, body: body) }
                }
            }
            throw ChannelError.eof
        }
    }
}
