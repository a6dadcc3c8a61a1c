import Testing

@testable import GRPC

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a peer does that leaves in its socket all that it has been sent.
@Suite(.timeLimit(.minutes(1)))
struct StalledPeerTests {
    /// The core ends an operation that sends when it has sent, also that of a call that has been cancelled.
    @Test func isNotWaitedForAtTheEnd() async throws {
        let group = try CompletionQueueGroup(count: 2)
        let peer = try await Self.stall(on: group)
        let taken = await ContinuousClock().measure { await group.shutDown() }
        peer.leave()
        #expect(taken < .seconds(5))
    }

    /// Makes a channel to a peer, which stays with what a call that has been cancelled has sent.
    private static func stall(on group: CompletionQueueGroup) async throws -> StalledPeer {
        let listener = try ListeningSocket.listen(on: "127.0.0.1:0")[0]
        defer { listener.close() }
        var options = ChannelOptions()
        options.keepalive = nil
        let channel = Channel(target: "127.0.0.1:\(listener.port)", options: options, group: group)
        let call = try channel.bidirectional(Echo.chat)
        Task { try await call.requests.write(ByteBuffer(String(repeating: "x", count: 1 << 26))) }
        let peer = await StalledPeer(of: listener)
        while peer.hasRoom { await Task.yield() }
        call.cancel()
        return peer
    }
}

/// Lets a client send as much as it likes, and reads nothing.
private struct StalledPeer {
    private let descriptor: Int32

    /// SETTINGS with the largest window for each stream, and a WINDOW_UPDATE that makes the connection's as large.
    private static let preface: [UInt8] = [
        0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7F, 0xFF, 0xFF, 0xFF,
        0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0, 0,
    ]

    init(of listener: ListeningSocket) async {
        var descriptor: Int32
        repeat {
            await Task.yield()
            descriptor = accept(listener.descriptor, nil, nil)
        } while descriptor < 0
        _ = Self.preface.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        self.descriptor = descriptor
    }

    /// Whether the client has not sent much yet.
    var hasRoom: Bool {
        var count: Int32 = 0
        _ = ioctl(descriptor, UInt(FIONREAD), &count)
        return count < 1 << 15
    }

    func leave() { close(descriptor) }
}
