import Foundation
import LibGRPC
import Synchronization
import Testing

/// Certificates that are replaced while a server and its clients run.
@Suite(.timeLimit(.minutes(5)))
struct TLSFilesTests {
    private static let methods = [
        ServerMethod.unary(Echo.unary) { _, context in ByteBuffer(context.peerIdentities.joined(separator: " ")) },
        ServerMethod.bidirectional(Echo.chat) { requests, writer, _ in
            for try await request in requests { try await writer.write(request) }
        },
    ]

    /// A folder with certificates that can be replaced.
    private struct Folder {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)

        init() throws {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        }

        func path(_ file: String) -> String { url.appendingPathComponent(file).path }

        var identity: TLSIdentityFiles {
            TLSIdentityFiles(certificateChain: path("identity.pem"), privateKey: path("identity.key"))
        }

        /// Puts one of the tests' certificates in place of a file.
        func put(_ certificate: String, as file: String) throws {
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("Certificates").appendingPathComponent(certificate)
            let beside = url.appendingPathComponent(UUID().uuidString)
            try Data(contentsOf: source).write(to: beside)
            rename(beside.path, path(file))
        }

        func putIdentity(_ name: String) throws {
            try put("\(name).pem", as: "identity.pem")
            try put("\(name).key", as: "identity.key")
        }

        func remove() {
            try? FileManager.default.removeItem(at: url)
        }
    }

    private func withServer(
        _ credentials: ServerCredentials,
        _ body: (_ target: String, _ group: CompletionQueueGroup) async throws -> Void
    ) async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: Self.methods, group: group)
        let port = try await server.start(listeningOn: [ListenAddress("127.0.0.1:0", credentials: credentials)])[0]
        let result: Result<Void, any Error>
        do {
            result = .success(try await body("localhost:\(port)", group))
        } catch {
            result = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        try result.get()
    }

    @Test func newConnectionsOfAServerGetTheNewCertificate() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.putIdentity("server")
        let credentials = try ServerCredentials.tls(watching: folder.identity, every: .seconds(1))
        try await withServer(credentials) { target, group in
            let old = ChannelCredentials.tls(trusting: TLSTests.authority)
            let open = Channel(target: target, credentials: old, group: group)
            let chat = try open.bidirectional(Echo.chat)
            var answers = chat.responses.makeAsyncIterator()
            try await chat.requests.write(ByteBuffer("before"))
            #expect(try await answers.next()?.text == "before")

            try folder.putIdentity("renewed")
            let renewed = try PEM(contentsOfFile: folder.path("identity.pem"))
            // It connects again and again until the server has read the files.
            let fresh = Channel(target: target, credentials: .tls(trusting: renewed), group: group)
            let waiting = CallOptions(timeout: .seconds(240), waitForReady: true)
            _ = try await fresh.unary(Echo.unary, ByteBuffer(""), options: waiting)

            let stale = Channel(target: target, credentials: old, group: group)
            let error = await #expect(throws: RPCError.self) { try await stale.unary(Echo.unary, ByteBuffer("")) }
            #expect(error?.code == .unavailable)

            try await chat.requests.write(ByteBuffer("after"))
            #expect(try await answers.next()?.text == "after")
            try await chat.requests.finish()
            #expect(try await answers.next() == nil)
        }
    }

    @Test func aClientTrustsTheNewAuthority() async throws {
        let folder = try Folder()
        defer { folder.remove() }
        try folder.put("other-authority.pem", as: "authorities.pem")
        try await withServer(.tls(try TLSTests.identity("server"))) { target, group in
            let file = folder.path("authorities.pem")
            let credentials = try ChannelCredentials.tls(watching: nil, authorities: file, every: .seconds(1))
            let channel = Channel(target: target, credentials: credentials, group: group)
            let error = await #expect(throws: RPCError.self) { try await channel.unary(Echo.unary, ByteBuffer("")) }
            #expect(error?.code == .unavailable)
            try folder.put("authority.pem", as: "authorities.pem")
            let options = CallOptions(timeout: .seconds(240), waitForReady: true)
            #expect(try await channel.unary(Echo.unary, ByteBuffer(""), options: options).text == "")
        }
    }

    @Test func bothSidesShowCertificatesOfFiles() async throws {
        let (server, client) = (try Folder(), try Folder())
        defer {
            server.remove()
            client.remove()
        }
        try server.putIdentity("server")
        try server.put("authority.pem", as: "clients.pem")
        try client.putIdentity("client")
        try client.put("authority.pem", as: "servers.pem")
        let credentials = try ServerCredentials.tls(
            watching: server.identity,
            clientAuthorities: server.path("clients.pem"),
            every: .seconds(1)
        )
        try await withServer(credentials) { target, group in
            let mutual = try ChannelCredentials.tls(watching: client.identity, authorities: client.path("servers.pem"))
            let channel = Channel(target: target, credentials: mutual, group: group)
            #expect(try await channel.unary(Echo.unary, ByteBuffer("")).text == "client.test")

            let anonymous = try ChannelCredentials.tls(watching: nil, authorities: client.path("servers.pem"))
            let other = Channel(target: target, credentials: anonymous, group: group)
            await #expect(throws: RPCError.self) { try await other.unary(Echo.unary, ByteBuffer("")) }

            // A server with another name is not trusted.
            var options = ChannelOptions()
            options.tlsServerName = "elsewhere.test"
            let misled = Channel(target: target, credentials: mutual, options: options, group: group)
            await #expect(throws: RPCError.self) { try await misled.unary(Echo.unary, ByteBuffer("")) }
        }
    }

    /// In a process of its own, because the handler of the core's log is for all of a process.
    @Test func aKeyOfAnotherCertificate() async {
        await #expect(processExitsWith: .success) {
            let errors = Mutex(0)
            let folder = try Folder()
            defer { folder.remove() }
            try folder.putIdentity("server")
            let credentials = try ServerCredentials.tls(watching: folder.identity, every: .seconds(1))
            try await TLSFilesTests().withServer(credentials) { target, group in
                /// Calls on a new connection.
                func call(_ options: CallOptions = CallOptions()) async throws {
                    let trusting = ChannelCredentials.tls(trusting: TLSTests.authority)
                    let channel = Channel(target: target, credentials: trusting, group: group)
                    _ = try await channel.unary(Echo.unary, ByteBuffer(""), options: options)
                }
                try await call()
                CoreLog.setHandler { severity, _, _ in if severity == .error { errors.withLock { $0 += 1 } } }
                try folder.put("client.key", as: "identity.key")
                // Until the server has read it.
                await #expect(throws: RPCError.self) {
                    while true {
                        try await call()
                        try await Task.sleep(for: .milliseconds(50))
                    }
                }
                precondition(errors.withLock { $0 } > 0, "the log says why")
                try folder.put("server.key", as: "identity.key")
                try await call(CallOptions(timeout: .seconds(240), waitForReady: true))
            }
        }
    }

    @Test func filesThatAreNotThere() {
        let nowhere = TLSIdentityFiles(certificateChain: "/nowhere.pem", privateKey: "/nowhere.key")
        let error = #expect(throws: SystemError.self) { try ServerCredentials.tls(watching: nowhere) }
        #expect(error?.description == "reading /nowhere.pem: No such file or directory")
        #expect(throws: SystemError.self) { try ChannelCredentials.tls(watching: nowhere, authorities: nil) }
    }
}
