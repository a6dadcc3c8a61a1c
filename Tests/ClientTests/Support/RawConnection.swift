import NIOCore
import NIOPosix

/// A TCP connection to a server on this machine, for bytes that no HTTP client would send.
struct RawConnection {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Opens a connection that reads only on demand.
    init(port: Int) async throws {
        channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Sends `request`, and returns what the server sends until `isComplete` is true or the server closes.
    func exchange(
        _ request: String,
        until isComplete: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> String {
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var response = ""
            for try await part in inbound {
                response += String(buffer: part)
                if isComplete(response) { break }
            }
            return response
        }
    }

    /// Sends `request`, reads at most the beginning of the response, waits for `condition` and closes.
    func send(
        _ request: String,
        readingBeginning: Bool = false,
        closeAfter condition: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var parts = inbound.makeAsyncIterator()
            if readingBeginning { _ = try await parts.next() }
            try await condition()
        }
    }
}
