import CGRPC
import Glibc
import Testing

@testable import LibGRPC

@Suite(.timeLimit(.minutes(5)))
struct CompressionTests {
    /// Whether the request and the response were compressed on their way, if both sides ask for it.
    private func exchange(_ channelOptions: ChannelOptions) async throws -> (request: Bool, response: Bool) {
        let method = ServerMethod.unary(Echo.unary) { request, context in
            context.setCompression(.gzip)
            return ByteBuffer(String(repeating: context.requestWasCompressed ? "c" : "p", count: 5000))
        }
        var options = ServerOptions()
        options.acceptedCompression = [.gzip]
        var channelOptions = channelOptions
        channelOptions.compression = .gzip
        return try await Loopback.run([method], options: options, channelOptions: channelOptions) { loopback in
            let request = ByteBuffer(String(repeating: "x", count: 5000))
            let (response, wasCompressed) = try await loopback.channel.inspectedUnary(Echo.unary, request)
            return (response.text.hasPrefix("c"), wasCompressed)
        }
    }

    @Test func bothWays() async throws {
        let wasCompressed = try await exchange(ChannelOptions())
        #expect(wasCompressed == (true, true))
    }

    @Test func neitherWayOnAChannelThatAcceptsNone() async throws {
        var options = ChannelOptions()
        options.acceptedCompression = [.none]
        let wasCompressed = try await exchange(options)
        #expect(wasCompressed == (false, false))
    }

    @Test func whatACallAsksForOnAChannelThatAcceptsNoneIsNotSent() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            ByteBuffer(context.metadata.map(\.key).filter { $0.contains("encoding") }.joined(separator: ","))
        }
        var options = ChannelOptions()
        options.acceptedCompression = []
        try await Loopback.run([method], channelOptions: options) { loopback in
            let call = CallOptions(compression: .gzip)
            let keys = try await loopback.channel.unary(Echo.unary, ByteBuffer("hello"), options: call)
            #expect(keys.text == "")
        }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct ChannelSocketTests {
    private let method = ServerMethod.unary(Echo.unary) { request, _ in request }

    @Test func isTheOneOfTheConnection() async throws {
        try await Loopback.run([method]) { loopback in
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer("connect"))
            let coalescer = try #require(loopback.channel.socket.coalescer)
            #expect(coalescer.peerPort == loopback.port)
        }
    }

    @Test func whatFollowsInATurnIsHeldBackUntilItsEnd() async throws {
        try await Loopback.run([method]) { loopback in
            let channel = loopback.channel
            let queue = loopback.group.queues[0]
            try await Task(executorPreference: queue) {
                _ = try await channel.unary(Echo.unary, ByteBuffer("connect"))
                let coalescer = try #require(channel.socket.coalescer)
                let calls = (0..<3).map { index in
                    Task.immediate(executorPreference: queue) {
                        try await channel.unary(Echo.unary, ByteBuffer("\(index)")).text
                    }
                }
                #expect(coalescer.isHolding)
                for (index, call) in calls.enumerated() { #expect(try await call.value == "\(index)") }
                #expect(!coalescer.isHolding)
            }.value
        }
    }

    @Test func followsANewConnection() async throws {
        try await Loopback.run([method]) { first in
            _ = try await first.channel.unary(Echo.unary, ByteBuffer("connect"))
            let coalescer = first.channel.socket.coalescer
            await first.server.shutDown(gracePeriod: .zero)
            let second = try Server(methods: [method], group: first.group)
            _ = try await second.start(listeningOn: ["127.0.0.1:\(first.port)"])
            let options = CallOptions(timeout: .seconds(30), waitForReady: true)
            _ = try await first.channel.unary(Echo.unary, ByteBuffer("again"), options: options)
            #expect(first.channel.socket.coalescer !== coalescer)
            #expect(first.channel.socket.coalescer?.peerPort == first.port)
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
        // The core releases its references on its own threads.
        while socket != nil { try await Task.sleep(for: .milliseconds(5)) }
    }
}

extension WriteCoalescer {
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

@Suite struct WriteCoalescerTests {
    /// No open descriptor: only the decision is tested.
    private let coalescer = WriteCoalescer(descriptor: -1)

    /// Whether each of `count` sends in one turn corks the connection.
    private func sends(_ count: Int, inTurn turn: UInt64) -> [Bool] {
        (0..<count).map { _ in coalescer.willSend(inTurn: turn * WriteCoalescer.turnStep) }
    }

    @Test func aSendByItselfIsNeverHeldBack() {
        for turn: UInt64 in 1...3 { #expect(sends(1, inTurn: turn) == [false]) }
    }

    @Test func whatFollowsInTheTurnIsHeldBackOnce() {
        #expect(sends(4, inTurn: 1) == [false, true, false, false])
    }

    @Test func afterABusyTurnTheFirstIsHeldBackToo() {
        _ = sends(2, inTurn: 1)
        #expect(sends(3, inTurn: 2) == [true, false, false])
        #expect(sends(1, inTurn: 3) == [true])
        // That send was the only one of its turn.
        #expect(sends(3, inTurn: 4) == [false, true, false])
    }
}

/// The options of a channel, and the arguments that reach the core.
@Suite(.timeLimit(.minutes(5)))
struct ChannelOptionsTests {
    private func arguments(_ change: (inout ChannelOptions) -> Void = { _ in }) -> [String: Int] {
        var options = ChannelOptions()
        change(&options)
        return options.arguments.withCoreArguments { arguments in
            var values: [String: Int] = [:]
            for index in 0..<arguments.pointee.num_args {
                let argument = arguments.pointee.args[index]
                guard argument.type == GRPC_ARG_INTEGER else { continue }
                values[String(cString: argument.key)] = Int(argument.value.integer)
            }
            return values
        }
    }

    /// A stock grpcio server ends a connection with `too_many_pings` if it pings every 10 s.
    @Test func noPingsByDefault() {
        let keys = arguments().keys
        #expect(!keys.contains(GRPC_ARG_KEEPALIVE_TIME_MS))
        #expect(!keys.contains(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS))
    }

    @Test func pingsIfAsked() {
        let arguments = arguments { $0.keepalive = .default }
        #expect(arguments[GRPC_ARG_KEEPALIVE_TIME_MS] == 10_000)
        #expect(arguments[GRPC_ARG_KEEPALIVE_TIMEOUT_MS] == 10_000)
        #expect(arguments[GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS] == 1)
    }

    /// A program may know better than the options.
    @Test func coreArgumentsReplaceWhatTheOptionsSet() async throws {
        let method = ServerMethod.unary(Echo.unary) { _, context in
            ByteBuffer(context.metadata.first("user-agent") ?? "")
        }
        var options = ChannelOptions()
        options.userAgent = "overridden"
        options.coreArguments = [GRPC_ARG_PRIMARY_USER_AGENT_STRING: "ours", GRPC_ARG_ENABLE_RETRIES: false]
        try await Loopback.run([method], channelOptions: options) { loopback in
            let agent = try await loopback.channel.unary(Echo.unary, ByteBuffer("")).text
            #expect(agent.hasPrefix("ours grpc-c/"))
        }
        #expect(arguments()[GRPC_ARG_ENABLE_RETRIES] == 1)
        #expect(arguments { $0 = options }[GRPC_ARG_ENABLE_RETRIES] == 0)
    }

    @Test func coreArgumentsOfAServer() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        var options = ServerOptions()
        options.coreArguments[GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH] = 100
        try await Loopback.run([method], options: options) { loopback in
            _ = try await loopback.channel.unary(Echo.unary, ByteBuffer([UInt8](repeating: 0, count: 100)))
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer([UInt8](repeating: 0, count: 101)))
            }
            #expect(error?.code == .resourceExhausted)
        }
    }

    @Test func maxSendSize() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, _ in request }
        var options = ChannelOptions()
        options.maxSendSize = 1000
        try await Loopback.run([method], channelOptions: options) { loopback in
            let (allowed, tooLarge) = ([UInt8](repeating: 0, count: 1000), [UInt8](repeating: 0, count: 1001))
            let response = try await loopback.channel.unary(Echo.unary, ByteBuffer(allowed))
            #expect(response.count == 1000)
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(tooLarge))
            }
            #expect(error?.code == .resourceExhausted)
        }
        #expect(!arguments().keys.contains(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH))
    }

    @Test func maxMetadataSize() async throws {
        let method = ServerMethod.unary(Echo.unary) { request, context in
            context.setTrailingMetadata(["size": .string(String(repeating: "a", count: 20 << 10))])
            return request
        }
        try await Loopback.run([method]) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer("x"))
            }
            #expect(error?.code == .resourceExhausted)
        }
        var options = ChannelOptions()
        options.maxMetadataSize = 32 << 10
        try await Loopback.run([method], channelOptions: options) { loopback in
            let response = try await loopback.channel.unaryResponse(Echo.unary, ByteBuffer("x"))
            #expect(response.trailingMetadata.first("size")?.utf8.count == 20 << 10)
        }
    }
}
