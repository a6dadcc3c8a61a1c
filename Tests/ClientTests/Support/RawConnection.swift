import NIOCore
import NIOPosix

/// A TCP connection to a server on this machine, to say what no HTTP client would say.
struct RawConnection {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Opens a connection that reads only when it is asked to.
    init(port: Int) async throws {
        self.channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel(wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Sends `request` and returns what the server sends until `isWhole` says that it is all, or until it closes.
    func exchange(
        _ request: String,
        until isWhole: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> String {
        try await self.channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var answer = ""
            for try await part in inbound {
                answer += String(buffer: part)
                if isWhole(answer) { break }
            }
            return answer
        }
    }

    /// Sends `request`, reads no more of the answer than its beginning, waits for `condition` and closes.
    func send(
        _ request: String,
        readingBeginning: Bool = false,
        closeAfter condition: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await self.channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: request))
            var parts = inbound.makeAsyncIterator()
            if readingBeginning { _ = try await parts.next() }
            try await condition()
        }
    }
}
