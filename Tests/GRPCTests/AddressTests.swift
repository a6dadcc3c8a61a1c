import Foundation
import GRPC
import Testing

/// Where a server listens, and how its connections end.
@Suite(.timeLimit(.minutes(1)))
struct AddressTests {
    private static let peer = ServerMethod.unary(Echo.unary) { _, context in ByteBuffer(context.peer) }

    /// A path in a folder of its own, which is removed afterwards.
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

    /// Whoever comes later takes the place, and keeps it when the earlier one goes.
    @Test func socketThatAnotherServerHasTaken() async throws {
        try await withPath { path in
            let group = try CompletionQueueGroup(count: 1)
            let earlier = try Server(methods: [Self.peer], group: group)
            _ = try await earlier.start(listeningOn: ["unix:\(path)"])
            let later = try Server(methods: [Self.peer], group: group)
            _ = try await later.start(listeningOn: ["unix:\(path)"])
            await earlier.shutDown(gracePeriod: .zero)
            let channel = Channel(target: "unix:\(path)", group: group)
            let answer = try? await channel.unary(Echo.unary, ByteBuffer(""))
            #expect(answer?.text == "unix:")
            await later.shutDown(gracePeriod: .zero)
            await group.shutDown()
        }
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
            // Each connection has a port of its own; a call that meets the end of one goes on with the next.
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
            // The core checks idleness in steps of its own; a connection that is asked after stays in use.
            var next = first
            var pause = Duration.milliseconds(100)
            while next == first {
                try await Task.sleep(for: pause)
                pause *= 2
                next = try await channel.unary(Echo.unary, ByteBuffer("")).text
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
