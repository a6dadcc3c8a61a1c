import Testing

@testable import LibGRPC

/// With a core of an unknown version the binding uses public API only.
@Suite(.timeLimit(.minutes(5)))
struct CoreVersionTests {
    private static let unknown = CoreVersion("30.0.0")

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

    private func callsWork(_ address: ListenAddress, _ credentials: ChannelCredentials) async throws {
        let group = try CompletionQueueGroup(count: 2, core: Self.unknown)
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
            #expect(group.queues.allSatisfy { $0.streamQueues.withRoom() == nil }, "nor are callback queues")
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        try result.get()
    }

    @Test func withoutEncryption() async throws {
        try await callsWork("127.0.0.1:0", .insecure)
    }

    @Test func withTLS() async throws {
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(try TLSTests.identity("server")))
        try await callsWork(address, .tls(trusting: TLSTests.authority))
    }

    @Test func badCredentialsWithTLS() async throws {
        let group = try CompletionQueueGroup(count: 1, core: Self.unknown)
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
