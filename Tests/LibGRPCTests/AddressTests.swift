import Foundation
import LibGRPC
import Testing

/// Addresses of servers, and how connections end.
@Suite(.timeLimit(.minutes(5)))
struct AddressTests {
    private static let peer = ServerMethod.unary(Echo.unary) { _, context in ByteBuffer(context.peer) }

    /// A path in a new folder, which is removed afterwards.
    private func withPath(_ body: (String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("grpc-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await body(folder.appendingPathComponent("socket").path)
    }

    private func withServer(
        at addresses: [ListenAddress],
        options: ServerOptions = ServerOptions(),
        _ body: ([Int], CompletionQueueGroup) async throws -> Void
    ) async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.peer], options: options, group: group)
        let result: Result<Void, any Error>
        do {
            try await body(try await server.start(listeningOn: addresses), group)
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
        try result.get()
    }

    @Test func oneServerAtSeveralAddresses() async throws {
        try await withPath { path in
            try await withServer(at: ["127.0.0.1:0", "[::1]:0", "unix:\(path)"]) { ports, group in
                for target in ["127.0.0.1:\(ports[0])", "[::1]:\(ports[1])", "unix:\(path)"] {
                    let channel = Channel(target: target, group: group)
                    let peer = try await channel.unary(Echo.unary, ByteBuffer(""))
                    let family = target.hasPrefix("unix") ? "unix:" : target.hasPrefix("[") ? "ipv6:" : "ipv4:"
                    #expect(peer.text.hasPrefix(family), "\(target)")
                }
            }
        }
    }

    @Test func socketThatAnEarlierProcessLeft() async throws {
        try await withPath { path in
            for _ in 1...2 {
                try await withServer(at: ["unix:\(path)"]) { _, group in
                    _ = try await Channel(target: "unix:\(path)", group: group).unary(Echo.unary, ByteBuffer(""))
                }
            }
        }
    }

    @Test func socketThatIsLeftToNobody() async throws {
        try await withPath { path in
            try await withServer(at: ["unix:\(path)"]) { ports, _ in
                #expect(ports == [0])
                #expect(FileManager.default.fileExists(atPath: path))
            }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    /// The second server is refused, and breaks nothing.
    @Test func socketOfAServerThatLives() async throws {
        try await withPath { path in
            try await withServer(at: ["unix:\(path)"]) { _, group in
                let error = await #expect(throws: ServerStartError.self) {
                    try await withServer(at: ["127.0.0.1:0", "unix:\(path)"]) { _, _ in }
                }
                #expect(error?.description == "listening on unix:\(path): Address already in use")
                _ = try await Channel(target: "unix:\(path)", group: group).unary(Echo.unary, ByteBuffer(""))
            }
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    /// A server deletes only the file that it has made itself.
    @Test func socketThatAnotherHasReplaced() async throws {
        try await withPath { path in
            try await withServer(at: ["unix:\(path)"]) { _, _ in
                try FileManager.default.moveItem(atPath: path, toPath: path + "-moved")
                let other = try ListeningSocket.listen(on: "unix:\(path)")[0]
                // The test's folder is removed with the file.
                _ = other
            }
            #expect(FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func socketIsForOneUser() async throws {
        try await withPath { path in
            try await withServer(at: ["unix:\(path)"]) { _, _ in
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
        }
    }

    /// Several servers start at once on a socket that an ended process has left. Exactly one gets it.
    @Test func raceForASocketThatWasLeft() async throws {
        try await withPath { path in
            // Bound, but nobody listens any more.
            let left = try ListeningSocket.listen(on: "unix:\(path)")[0]
            try FileManager.default.moveItem(atPath: path, toPath: path + "-kept")
            left.close()
            for _ in 1...20 {
                try? FileManager.default.removeItem(atPath: path)
                try FileManager.default.linkItem(atPath: path + "-kept", toPath: path)
                let sockets = await withTaskGroup(of: ListeningSocket?.self) { group in
                    for _ in 1...4 { group.addTask { try? ListeningSocket.listen(on: "unix:\(path)")[0] } }
                    return await group.reduce(into: [ListeningSocket]()) { if let socket = $1 { $0.append(socket) } }
                }
                #expect(sockets.count == 1)
                for socket in sockets { socket.close() }
            }
        }
    }

    @Test func linkToASocket() async throws {
        try await withPath { path in
            try await withServer(at: ["unix:\(path)"]) { _, _ in
                try FileManager.default.createSymbolicLink(atPath: path + "-link", withDestinationPath: path)
                await #expect(throws: ServerStartError.self) {
                    try await withServer(at: ["unix:\(path)-link"]) { _, _ in }
                }
                #expect(FileManager.default.fileExists(atPath: path))
            }
        }
    }

    @Test func allAddressesOfBothFamilies() async throws {
        let group = try CompletionQueueGroup(count: 1)
        let server = try Server(methods: [Self.peer], group: group)
        let port = try await server.start(listeningOn: ["*:0"])[0]
        #expect(server.addresses == ["0.0.0.0:\(port)", "[::]:\(port)"])
        for host in ["127.0.0.1", "[::1]"] {
            let peer = try? await Channel(target: "\(host):\(port)", group: group).unary(Echo.unary, ByteBuffer(""))
            #expect(peer?.text.hasPrefix(host == "[::1]" ? "ipv6:[::1]" : "ipv4:127.0.0.1") == true)
        }
        await server.shutDown(gracePeriod: .zero)
        await group.shutDown()
    }

    @Test func connectionsLeaveDescriptors() {
        var options = ServerOptions()
        #expect(options.possibleConnections <= options.maxConnections)
        options.maxConnections = .max
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        #expect(
            options.possibleConnections <= Int(clamping: limit.rlim_cur) - min(128, Int(clamping: limit.rlim_cur) / 2)
        )
    }

    @Test func pathsThatNoSocketCanHave() async throws {
        try await withPath { path in
            try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
            let expected = [
                path: "Address already in use",
                path + "/below": "Not a directory",
                path + "-nowhere/socket": "No such file or directory",
                "/" + String(repeating: "x", count: 200): "File name too long",
            ]
            for (path, reason) in expected {
                let error = await #expect(throws: ServerStartError.self) {
                    try await withServer(at: ["unix:\(path)"]) { _, _ in }
                }
                #expect(error?.description == "listening on unix:\(path): \(reason)")
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        }
    }

    @Test func connectionsOfALimitedAge() async throws {
        var options = ServerOptions()
        options.maxConnectionAge = .milliseconds(200)
        options.maxConnectionAgeGrace = .seconds(5)
        try await withServer(at: ["127.0.0.1:0"], options: options) { ports, group in
            let channel = Channel(target: "127.0.0.1:\(ports[0])", group: group)
            // Each connection has another port. A call that meets the end of one continues on the next.
            var peers: Set<String> = []
            while peers.count < 3 { peers.insert(try await channel.unary(Echo.unary, ByteBuffer("")).text) }
        }
    }

    @Test func connectionsWithoutCalls() async throws {
        var options = ServerOptions()
        options.maxConnectionIdle = .milliseconds(100)
        try await withServer(at: ["127.0.0.1:0"], options: options) { ports, group in
            let channel = Channel(target: "127.0.0.1:\(ports[0])", group: group)
            let first = try await channel.unary(Echo.unary, ByteBuffer("")).text
            // The core checks for idleness at intervals. Asking for the state keeps a connection in use.
            var next = first
            var pause = Duration.milliseconds(100)
            while next == first {
                try await Task.sleep(for: pause)
                pause *= 2
                // A call may meet the connection's end.
                next = (try? await channel.unary(Echo.unary, ByteBuffer("")).text) ?? first
            }
        }
    }

    @Test func quotaThatIsShared() async throws {
        let quota = ResourceQuota(bytes: 64 << 20)
        var options = ServerOptions()
        options.resourceQuota = quota
        try await withServer(at: ["127.0.0.1:0"], options: options) { ports, group in
            var options = ChannelOptions()
            options.resourceQuota = quota
            options.idleTimeout = .seconds(1)
            let channel = Channel(target: "127.0.0.1:\(ports[0])", options: options, group: group)
            let large = ByteBuffer([UInt8](repeating: 1, count: 2 << 20))
            for _ in 1...20 { _ = try await channel.unary(Echo.unary, large) }
        }
    }
}
