import ArgumentParser
import GRPC
import Logging
import Messenger
import ServiceLifecycle

@testable import Client

/// Runs a test against the client's HTTP server, on a port of its own.
func withHTTP<Value: Sendable>(
    room: FakeRoom = FakeRoom(),
    inbox: Inbox = Inbox(capacity: .mebibytes(64)),
    settings: ClientSettings? = nil,
    test: (HTTPTestClient) async throws -> Value
) async throws -> Value {
    let (ports, listening) = AsyncStream<Port>.makeStream()
    let server = HTTPService(settings: try settings ?? .forTests(), inbox: inbox, room: room, logger: .quiet) {
        listening.yield(Port($0[0].port))
    }
    let group = ServiceGroup(services: [server], logger: .quiet)
    return try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { listening.finish() }
            try await group.run()
        }
        guard let port = await ports.first(where: { _ in true }) else {
            try await tasks.waitForAll()
            throw CancellationError()
        }
        let shutDown: @Sendable () async -> Void = { await group.triggerGracefulShutdown() }
        let value = try await test(HTTPTestClient(port: Int(port.number), shutDown: shutDown))
        await shutDown()
        try await tasks.waitForAll()
        return value
    }
}

extension ClientSettings {
    /// The defaults, on any free port.
    static func forTests() throws -> ClientSettings {
        try parse(["--http-port", "0"])
    }
}
