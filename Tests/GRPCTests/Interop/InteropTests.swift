import GRPC
import Testing

/// gRPC's standard interoperability cases against its Python implementation, both ways, and against ourselves.
///
/// One after the other: a case with Python is a process of its own.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct InteropTests {
    private static let needsPython: Comment = "MESSENGER_TEST_PYTHON names no Python with grpcio"

    @Test(.enabled(if: Peer.isAvailable, needsPython), arguments: InteropCase.allCases)
    func pythonClientCallsOurServer(_ interopCase: InteropCase) async throws {
        try await Loopback.run(InteropServer.methods, options: InteropServer.options) { loopback in
            let peer = try Peer("interop_client.py", "\(loopback.port)", interopCase.rawValue)
            #expect(await peer.end().exitCode == 0)
        }
    }

    @Test(.enabled(if: Peer.isAvailable, needsPython), arguments: InteropCase.allCases)
    func ourClientCallsPythonServer(_ interopCase: InteropCase) async throws {
        try await Peer.runServer("interop_server.py") { target, group in
            try await InteropClient(target: target, group: group).run(interopCase)
        }
    }

    @Test(arguments: InteropCase.allCases)
    func ourClientCallsOurServer(_ interopCase: InteropCase) async throws {
        try await Loopback.run(InteropServer.methods, options: InteropServer.options) { loopback in
            let client = InteropClient(target: "127.0.0.1:\(loopback.port)", group: loopback.group)
            try await client.run(interopCase)
        }
    }
}
