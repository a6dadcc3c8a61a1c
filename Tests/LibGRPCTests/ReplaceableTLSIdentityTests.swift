import Foundation
import LibGRPC
import Testing

/// A certificate that is replaced while its server runs.
@Suite(.timeLimit(.minutes(5)))
struct ReplaceableTLSIdentityTests {
    private static let echo = ServerMethod.unary(Echo.unary) { request, _ in request }

    private func certificate(_ name: String) throws -> PEM {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try PEM(contentsOfFile: tests.appendingPathComponent("Certificates/\(name)").path)
    }

    private func answers(
        _ target: String,
        _ credentials: ChannelCredentials,
        _ group: CompletionQueueGroup
    ) async -> Bool {
        let channel = Channel(target: target, credentials: credentials, group: group)
        return (try? await channel.unary(Echo.unary, ByteBuffer("x"))) != nil
    }

    @Test func newConnectionsGetTheNewCertificate() async throws {
        let identity = ReplaceableTLSIdentity(try TLSTests.identity("server"))
        let renewed = ChannelCredentials.tls(trusting: try certificate("renewed.pem"))
        let old = ChannelCredentials.tls(trusting: TLSTests.authority)
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(identity))
        try await withCompletionQueueGroup { group in
            try await withServer([Self.echo], listeningOn: [address], group: group) { server in
                let target = "localhost:\(server.addresses[0].split(separator: ":").last ?? "")"
                let open = Channel(target: target, credentials: old, group: group)
                _ = try await open.unary(Echo.unary, ByteBuffer("x"))
                #expect(await !answers(target, renewed, group))

                identity.replace(with: try TLSTests.identity("renewed"))
                #expect(await answers(target, renewed, group))
                #expect(await !answers(target, old, group))
                // The open connection lives on.
                _ = try await open.unary(Echo.unary, ByteBuffer("x"))

                // The core keeps what it has.
                let key = try certificate("client.key")
                identity.replace(
                    with: TLSIdentity(certificateChain: try certificate("server.pem"), privateKey: key)
                )
                #expect(await answers(target, renewed, group))
                identity.replace(with: try TLSTests.identity("server"))
                #expect(await answers(target, old, group))
            }
        }
    }

    @Test func newAuthoritiesOfClientsCount() async throws {
        let server = try TLSTests.identity("server")
        let other = try certificate("other-authority.pem")
        let identity = ReplaceableTLSIdentity(server, clientAuthorities: other)
        let client = ChannelCredentials.tls(trusting: TLSTests.authority, identity: try TLSTests.identity("client"))
        let address = ListenAddress("127.0.0.1:0", credentials: .tls(identity))
        try await withCompletionQueueGroup { group in
            try await withServer([Self.echo], listeningOn: [address], group: group) { server in
                let target = "localhost:\(server.addresses[0].split(separator: ":").last ?? "")"
                #expect(await !answers(target, client, group))
                identity.replace(with: try TLSTests.identity("server"), clientAuthorities: TLSTests.authority)
                #expect(await answers(target, client, group))
            }
        }
    }
}
