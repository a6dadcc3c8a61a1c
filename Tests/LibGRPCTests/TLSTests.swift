import Foundation
import LibGRPC
import Testing

/// Encrypted connections, and refused ones.
@Suite(.timeLimit(.minutes(5)))
struct TLSTests {
    private static let who = ServerMethod.unary(Echo.unary) { _, context in
        ByteBuffer(context.peerIdentities.joined(separator: " "))
    }

    static let authority = try? certificates("authority.pem")

    private static func certificates(_ file: String) throws -> PEM {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try PEM(contentsOfFile: folder.appendingPathComponent("Certificates/\(file)").path)
    }

    static func identity(_ name: String) throws -> TLSIdentity {
        TLSIdentity(certificateChain: try certificates("\(name).pem"), privateKey: try certificates("\(name).key"))
    }

    /// The server's answer to a client with these credentials.
    private func call(
        _ credentials: ChannelCredentials,
        of clients: ServerCredentials.ClientCertificates = .notRequested,
        serverName: String? = nil
    ) async throws -> String {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.who], group: group)
        let address = ListenAddress(
            "127.0.0.1:0",
            credentials: .tls(try Self.identity("server"), clientCertificates: clients)
        )
        let port = try await server.start(listeningOn: [address])[0]
        let answer: Result<ByteBuffer, any Error>
        do {
            var options = ChannelOptions()
            options.tlsServerName = serverName
            let channel = Channel(target: "localhost:\(port)", credentials: credentials, options: options, group: group)
            answer = .success(try await channel.unary(Echo.unary, ByteBuffer("")))
        } catch {
            answer = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        return try answer.get().text
    }

    @Test func serverThatIsTrusted() async throws {
        #expect(try await call(.tls(trusting: Self.authority)) == "")
    }

    /// The core would abort when such a server is released.
    @Test func serverStartedOnAGroupThatHasEnded() async throws {
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(try Self.identity("server")))
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.who], group: group)
        await group.shutDown()
        await #expect(throws: ServerStartError.self) { try await server.start(listeningOn: [address]) }
    }

    @Test func serverOfAnotherAuthority() async throws {
        let credentials = ChannelCredentials.tls(trusting: try Self.certificates("other-authority.pem"))
        let error = await #expect(throws: RPCError.self) { try await call(credentials) }
        #expect(error?.code == .unavailable)
    }

    @Test func serverOfAnotherName() async throws {
        let credentials = ChannelCredentials.tls(trusting: Self.authority)
        let error = await #expect(throws: RPCError.self) { try await call(credentials, serverName: "elsewhere.test") }
        #expect(error?.code == .unavailable)
    }

    @Test func clientWithoutEncryption() async throws {
        let error = await #expect(throws: RPCError.self) { try await call(.insecure) }
        #expect(error?.code == .unavailable)
    }

    @Test func clientThatShowsItsCertificate() async throws {
        let credentials = ChannelCredentials.tls(trusting: Self.authority, identity: try Self.identity("client"))
        let clients = ServerCredentials.ClientCertificates.required(trusting: try #require(Self.authority))
        #expect(try await call(credentials, of: clients) == "client.test")
        // The server did not ask for a certificate, so it does not verify one.
        #expect(try await call(credentials) == "")
    }

    @Test func clientWithoutCertificate() async throws {
        let clients = ServerCredentials.ClientCertificates.required(trusting: try #require(Self.authority))
        let error = await #expect(throws: RPCError.self) {
            try await call(.tls(trusting: Self.authority), of: clients)
        }
        #expect(error?.code == .unavailable)
    }

    @Test func clientOfAnotherAuthority() async throws {
        let credentials = ChannelCredentials.tls(trusting: Self.authority, identity: try Self.identity("stranger"))
        let clients = ServerCredentials.ClientCertificates.required(trusting: try #require(Self.authority))
        let error = await #expect(throws: RPCError.self) { try await call(credentials, of: clients) }
        #expect(error?.code == .unavailable)
    }

    // MARK: What is wrong before anybody connects

    @Test(arguments: [("server.pem", "client.key"), ("server.key", "server.pem"), ("make.sh", "make.sh")])
    func certificateAndKeyThatDoNotFit(certificate: String, key: String) async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.who], group: group)
        let identity = TLSIdentity(
            certificateChain: try Self.certificates(certificate),
            privateKey: try Self.certificates(key)
        )
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(identity))
        let error = await #expect(throws: ServerStartError.self) { try await server.start(listeningOn: [address]) }
        #expect(error?.description == "the TLS certificate, key or authorities for 127.0.0.1:0 cannot be used")
        await group.shutDown()
    }

    @Test func channelWithoutUsableAuthorities() async throws {
        let error = await #expect(throws: RPCError.self) { try await call(.tls(trusting: PEM("nonsense"))) }
        #expect(error != nil)
    }

    @Test func fileThatIsNotThere() {
        let error = #expect(throws: SystemError.self) { try PEM(contentsOfFile: "/nowhere.pem") }
        #expect(error?.description == "reading /nowhere.pem: No such file or directory")
    }

    @Test func keysAreNotPrinted() throws {
        let identity = try Self.identity("server")
        var dumped = ""
        dump(identity, to: &dumped)
        for text in ["\(identity)", String(reflecting: identity), dumped] {
            #expect(!text.contains("PRIVATE KEY"))
            #expect(!text.contains("BEGIN"))
        }
        #expect(identity.privateKey.holdsPrivateKey && !identity.privateKey.holdsCertificate)
        #expect(identity.certificateChain.holdsCertificate && !identity.certificateChain.holdsPrivateKey)
    }
}
