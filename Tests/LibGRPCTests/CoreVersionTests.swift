import Testing

@testable import LibGRPC

/// With a core of an unknown version the binding uses public API only. It also works without its own transport.
@Suite(.timeLimit(.minutes(5)))
struct CoreVersionTests {
    private static let unknownCore = CoreVersion("30.0.0")

    /// A core and what is used of the binding's own transport.
    private static let reduced: [(CoreVersion, Transport)] = [
        (unknownCore, Transport(for: unknownCore)), (unknownCore, .off), (.linked, .off),
    ]

    @Test(arguments: ["29.0.0", "29.1.0-pre1"]) func known(_ text: String) {
        #expect(CoreVersion(text).isKnown)
        #expect(CoreVersion(text).warning == nil)
    }

    @Test(arguments: ["", "2", "28.0.1", "290.0.0", "30.0.0"]) func unknown(_ text: String) {
        #expect(!CoreVersion(text).isKnown)
        #expect(CoreVersion(text).warning?.hasPrefix("gRPC core \(text) is unknown") == true)
    }

    private static let methods: [ServerMethod] = [
        .unary(Echo.unary) { request, _ in request },
        .serverStreaming(Echo.stream) { request, writer, _ in
            for index in 0..<100 { try await writer.write(ByteBuffer("\(request.text)\(index)")) }
        },
    ]

    private func callsWork(
        _ core: CoreVersion,
        _ transport: Transport,
        _ address: ListenAddress,
        _ credentials: ChannelCredentials
    ) async throws {
        let group = try CompletionQueueGroup(count: 2, core: core, transport: transport)
        let server = try Server(methods: Self.methods, group: group)
        let port = try await server.start(listeningOn: [address])[0]
        #expect(server.addresses == ["127.0.0.1:\(port)"])
        let result: Result<Void, any Error>
        do {
            let channel = Channel(target: "localhost:\(port)", credentials: credentials, group: group)
            let options = CallOptions(timeout: .seconds(30), waitForReady: true)
            let response = try await channel.unary(Echo.unary, ByteBuffer("hello"), options: options)
            #expect(response.text == "hello")
            var received: [String] = []
            let stream = try channel.serverStreaming(Echo.stream, ByteBuffer("n"), options: options)
            for try await message in stream { received.append(message.text) }
            #expect(received == (0..<100).map { "n\($0)" })
            #expect(channel.connectionCount == 0, "the hook for sockets is not used")
            let hasNoStreamQueues = group.queues.allSatisfy { $0.streamQueues.withRoom() == nil }
            #expect(hasNoStreamQueues == !core.isKnown, "nor are callback queues of an unknown core")
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        try result.get()
    }

    @Test(arguments: reduced)
    func withoutEncryption(core: CoreVersion, transport: Transport) async throws {
        try await callsWork(core, transport, "127.0.0.1:0", .insecure)
    }

    @Test(arguments: reduced)
    func withTLS(core: CoreVersion, transport: Transport) async throws {
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(try TLSTests.identity("server")))
        try await callsWork(core, transport, address, .tls(trusting: TLSTests.authority))
    }

    @Test func badCredentialsWithTLS() async throws {
        let group = try CompletionQueueGroup(count: 1, core: Self.unknownCore, transport: .publicOnly)
        let server = try Server(methods: Self.methods, group: group)
        let identity = TLSIdentity(certificateChain: PEM("nonsense"), privateKey: PEM("nonsense"))
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(identity))
        let error = await #expect(throws: ServerStartError.self) { try await server.start(listeningOn: [address]) }
        guard case .badCredentials = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        await group.shutDown()
    }
}
