import ArgumentParser
import struct LibGRPC.ListeningSocket
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

@testable import Client
@testable import Messenger

/// Runs a test against the client's HTTP server, on a free port.
func withHTTP<Value: Sendable>(
    room: some RemoteRoom = FakeRoom(),
    inbox: Inbox = Inbox(capacity: .mebibytes(64)),
    settings: ClientSettings? = nil,
    eventPingInterval: Duration = .seconds(15),
    test: (HTTPTestClient) async throws -> Value
) async throws -> Value {
    let (ports, listening) = AsyncStream<Port>.makeStream()
    let server = HTTPService(
        settings: try settings ?? .forTests(),
        inbox: inbox,
        room: room,
        logger: .quiet,
        eventPingInterval: eventPingInterval
    ) {
        listening.yield(Port($0[0].port))
    }
    let group = ServiceGroup(services: [server], logger: .quiet)
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { listening.finish() }
            try await group.run()
        }
        guard let port = await ports.first(where: { _ in true }) else {
            try await tasks.waitForAll()
            throw CancellationError()
        }
        let shutDown: @Sendable () async -> Void = { await group.triggerGracefulShutdown() }
        let value = try await test(HTTPTestClient(port: Int(port.number), shutDown: shutDown))
        await shutDown()
        try await tasks.waitForAll()
        return value
    }
}

extension ClientSettings {
    /// The defaults, on a free port.
    static func forTests() throws -> ClientSettings {
        try parse([]) { $0 == "MESSENGER_HTTP_PORT" ? "0" : nil }
    }
}

/// Sends requests to an HTTP server on this machine, each on a new connection.
struct HTTPTestClient {
    struct Response {
        let head: HTTPResponseHead
        let body: ByteBuffer

        var status: HTTPResponseStatus { head.status }
        var text: String { String(buffer: body) }

        func header(_ name: String) -> String? { head.headers.first(name: name) }
    }

    let port: Int
    /// Stops the server after the requests in progress.
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
        return try check(try await response(to: [.head(head), .body(.byteBuffer(body)), .end(nil)]))
    }

    private func response(to request: [HTTPClientRequestPart]) async throws -> Response {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
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
