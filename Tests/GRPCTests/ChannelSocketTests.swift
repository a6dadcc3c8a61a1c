import Glibc
import Testing

@testable import GRPC

@Suite(.timeLimit(.minutes(1)))
struct ChannelSocketTests {
    private let method = ServerMethod.unary(Echo.unary) { request, _ in request }

    @Test func isTheOneOfTheConnection() async throws {
        try await Loopback.run([method]) { loopback in
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("connect"))
            let cork = try #require(loopback.channel.socket.cork)
            #expect(cork.peerPort == loopback.port)
        }
    }

    @Test func whatFollowsInATurnIsHeldBackUntilItsEnd() async throws {
        try await Loopback.run([method]) { loopback in
            let channel = loopback.channel
            let queue = loopback.group.queues[0]
            try await Task(executorPreference: queue) {
                _ = try await channel.unary(Echo.unary, ByteBuffer("connect"))
                let cork = try #require(channel.socket.cork)
                let calls = (0..<3).map { index in
                    Task.immediate(executorPreference: queue) {
                        try await channel.unary(Echo.unary, ByteBuffer("\(index)")).text
                    }
                }
                #expect(cork.isHolding)
                for (index, call) in calls.enumerated() { #expect(try await call.value == "\(index)") }
                #expect(!cork.isHolding)
            }.value
        }
    }

    @Test func followsANewConnection() async throws {
        try await Loopback.run([method]) { first in
            _ = try await first.channel.unary(Echo.unary, ByteBuffer("connect"))
            let cork = first.channel.socket.cork
            await first.server.shutDown(gracePeriod: .zero)
            let second = try Server(methods: [method], group: first.group)
            _ = try await second.start(listeningOn: ["127.0.0.1:\(first.port)"])
            let options = CallOptions(timeout: .seconds(30), waitForReady: true)
            _ = try await first.channel.unary(Echo.unary, ByteBuffer("again"), options: options)
            #expect(first.channel.socket.cork !== cork)
            #expect(first.channel.socket.cork?.peerPort == first.port)
            await second.shutDown(gracePeriod: .zero)
        }
    }

    @Test func isForgottenWithTheChannel() async throws {
        weak var socket: ChannelSocket?
        try await Loopback.run([method]) { loopback in
            let channel = Channel(target: "127.0.0.1:\(loopback.port)", group: loopback.group)
            _ = try await channel.unary(Echo.unary, ByteBuffer("connect"))
            socket = channel.socket
        }
        // The core gives its references back on threads of its own.
        while socket != nil { try await Task.sleep(for: .milliseconds(5)) }
    }
}

extension Cork {
    fileprivate var isHolding: Bool {
        var value: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CORK, &value, &size)
        return value == 1
    }

    fileprivate var peerPort: Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let error = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
        }
        return error == 0 ? Int(UInt16(bigEndian: address.sin_port)) : -1
    }
}
