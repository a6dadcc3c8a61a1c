import Glibc
import Testing

@testable import LibGRPC

/// A peer that does not read what it is sent.
@Suite(.timeLimit(.minutes(5)))
struct StalledPeerTests {
    /// The core completes a send only when it has sent, even if the call has been cancelled.
    @Test func isNotWaitedForAtTheEnd() async throws {
        let group = try CompletionQueueGroup(count: 2)
        let peer = try await Self.stall(on: group)
        let taken = await ContinuousClock().measure { await group.shutDown() }
        peer.leave()
        // Without the disconnection it would never end.
        #expect(taken < .seconds(30))
    }

    /// Makes a channel to a peer that does not read. A cancelled call has sent much to it.
    private static func stall(on group: CompletionQueueGroup) async throws -> StalledPeer {
        let listener = try ListeningSocket.listen(on: "127.0.0.1:0")[0]
        defer { listener.close() }
        let channel = Channel(target: "127.0.0.1:\(listener.port)", group: group)
        let call = try channel.bidirectional(Echo.chat, options: CallOptions(waitForReady: true))
        Task { try await call.requests.write(ByteBuffer([UInt8](repeating: 0x78, count: 1 << 26))) }
        let peer = try await StalledPeer.accepted(by: listener)
        call.cancel()
        return peer
    }
}

/// Opens all flow-control windows, and reads nothing.
private struct StalledPeer {
    private let descriptor: Int32

    /// SETTINGS with the largest window for each stream, and a WINDOW_UPDATE that makes the connection's as large.
    private static let preface: [UInt8] = [
        0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7F, 0xFF, 0xFF, 0xFF,
        0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0, 0,
    ]

    /// Wait until this much has arrived.
    private static let bytes: Int32 = 1 << 15

    /// Waits for a client that has sent much.
    static func accepted(by listener: ListeningSocket) async throws -> StalledPeer {
        let listener = listener.descriptor
        return try await withCheckedThrowingContinuation { continuation in
            // On its own thread: other tests may block those of tasks longer than a client waits for its connection.
            do {
                try Thread.start(named: "stalled-peer") {
                    continuation.resume(with: Result { try StalledPeer(acceptedBy: listener) })
                }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private init(acceptedBy listener: Int32) throws {
        while true {
            try Self.waitForInput(listener)
            let descriptor = accept(listener, nil, nil)
            guard descriptor >= 0 else { continue }
            var enough = Self.bytes
            setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &enough, socklen_t(MemoryLayout<Int32>.size))
            _ = Self.preface.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            try Self.waitForInput(descriptor)
            var count: Int32 = 0
            _ = ioctl(descriptor, UInt(FIONREAD), &count)
            if count >= Self.bytes {
                self.descriptor = descriptor
                return
            }
            // The client has given up this connection and makes another one.
            close(descriptor)
        }
    }

    private static func waitForInput(_ descriptor: Int32) throws {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // The task that sends may wait long for a thread: other tests block those of tasks.
        try #require(poll(&entry, 1, 120_000) > 0, "the client sends nothing")
    }

    func leave() { close(descriptor) }
}
