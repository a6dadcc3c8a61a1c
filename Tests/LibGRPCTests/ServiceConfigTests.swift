import LibGRPC
import Synchronization
import Testing

/// What a channel's service config says about its methods: retries, timeouts, load balancing.
@Suite(.timeLimit(.minutes(5)))
struct ServiceConfigTests {
    private static let retryPolicy = """
        {"methodConfig": [{"name": [{"service": "test.Echo", "method": "Unary"}], "retryPolicy": {"maxAttempts": 3, \
        "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1, \
        "retryableStatusCodes": ["UNAVAILABLE"]}}]}
        """

    /// How often a call is attempted whose first two attempts fail.
    private func attempts(
        _ method: MethodDescriptor<ByteBuffer, ByteBuffer>,
        _ options: ChannelOptions
    ) async throws -> Int {
        let attempts = Atomic(0)
        let failing = ServerMethod.unary(method) { request, _ in
            guard attempts.add(1, ordering: .relaxed).newValue > 2 else {
                throw RPCError(code: .unavailable, message: "not yet")
            }
            return request
        }
        return try await Loopback.run([failing], channelOptions: options) { loopback in
            let response = try? await loopback.channel.unary(method, ByteBuffer("x"))
            let count = attempts.load(ordering: .relaxed)
            #expect((response?.text == "x") == (count > 2))
            return count
        }
    }

    @Test func retries() async throws {
        var options = ChannelOptions()
        options.serviceConfig = Self.retryPolicy
        #expect(try await attempts(Echo.unary, options) == 3)
        #expect(try await attempts(Echo.missing, options) == 1, "another method")
        #expect(try await attempts(Echo.unary, ChannelOptions()) == 1)
        options.retries = false
        #expect(try await attempts(Echo.unary, options) == 1)
    }

    /// The core ends it one to two seconds too early, so a shorter one would fail before the call reaches its server.
    @Test func timeoutOfAMethod() async throws {
        let hasBegun = Atomic(false)
        let endless = ServerMethod.unary(Echo.unary) { request, _ in
            hasBegun.store(true, ordering: .relaxed)
            await Signal().waitUntilCancelled()
            return request
        }
        var options = ChannelOptions()
        options.serviceConfig = #"{"methodConfig": [{"name": [{"service": "test.Echo"}], "timeout": "3s"}]}"#
        try await Loopback.run([endless], channelOptions: options) { loopback in
            let call = CallOptions(timeout: .seconds(240))
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""), options: call)
            }
            #expect(error?.code == .deadlineExceeded)
            let didBegin = hasBegun.load(ordering: .relaxed)
            #expect(didBegin)
        }
    }

    @Test(arguments: [#"{"#, #"{"methodConfig": 1}"#, #"{"loadBalancingConfig": [{"no_such_policy": {}}]}"#])
    func malformed(serviceConfig: String) async throws {
        let echo = ServerMethod.unary(Echo.unary) { request, _ in request }
        var options = ChannelOptions()
        options.serviceConfig = serviceConfig
        try await Loopback.run([echo], channelOptions: options) { loopback in
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(""))
            }
            #expect(error != nil)
        }
    }

    // MARK: Load balancing

    /// Which of two servers answered the calls of one channel. Calls until `count` of them have.
    private func answering(_ options: ChannelOptions, until count: Int = 1) async throws -> Set<String> {
        let (first, second) = (
            ServerMethod.unary(Echo.unary) { _, _ in ByteBuffer("first") },
            ServerMethod.unary(Echo.unary) { _, _ in ByteBuffer("second") }
        )
        return try await Loopback.run([first]) { one in
            try await Loopback.run([second]) { other in
                let target = "ipv4:127.0.0.1:\(one.port),127.0.0.1:\(other.port)"
                let channel = Channel(target: target, options: options, group: one.group)
                var answers = Set<String>()
                // A round robin begins with the connection that is ready first.
                repeat {
                    answers.insert(try await channel.unary(Echo.unary, ByteBuffer("")).text)
                } while answers.count < count
                for _ in 0..<20 { answers.insert(try await channel.unary(Echo.unary, ByteBuffer("")).text) }
                return answers
            }
        }
    }

    @Test func unknownPolicy() async throws {
        var options = ChannelOptions()
        options.loadBalancingPolicy = "no_such_policy"
        #expect(try await answering(options) == ["first"])
    }

    @Test func theFirstAddressByDefault() async throws {
        #expect(try await answering(ChannelOptions()) == ["first"])
    }

    @Test func allAddressesByThePolicysName() async throws {
        var options = ChannelOptions()
        options.loadBalancingPolicy = "round_robin"
        #expect(try await answering(options, until: 2) == ["first", "second"])
    }

    @Test func allAddressesByTheServiceConfig() async throws {
        var options = ChannelOptions()
        options.serviceConfig = #"{"loadBalancingConfig": [{"round_robin": {}}]}"#
        #expect(try await answering(options, until: 2) == ["first", "second"])
    }
}
