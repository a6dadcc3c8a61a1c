import LibGRPC
import Testing

/// gRPC's standard interoperability cases against its Python implementation, both ways, and against ourselves.
@Suite(.timeLimit(.minutes(5)))
struct InteropTests {
    private static let needsPython: Comment = "MESSENGER_TEST_PYTHON names no Python with grpcio"

    @Test(.enabled(if: Peer.isAvailable, needsPython))
    func pythonClientCallsOurServer() async throws {
        try await Loopback.run(InteropServer.methods, options: InteropServer.options) { loopback in
            let cases = InteropCase.allCases.map(\.rawValue)
            let peer = try Peer("interop_client.py", "\(loopback.port)", cases.joined(separator: ","))
            let (exitCode, output) = await peer.end()
            #expect(exitCode == 0)
            #expect(output.split(separator: "\n").map(String.init) == cases, "the cases that passed")
        }
    }

    @Test(.enabled(if: Peer.isAvailable, needsPython))
    func ourClientCallsPythonServer() async throws {
        try await Peer.runServer("interop_server.py") { target, group in
            for interopCase in InteropCase.allCases {
                await #expect(throws: Never.self, "\(interopCase)") {
                    try await InteropClient(target: target, group: group).run(interopCase)
                }
            }
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

/// The standard cases of gRPC's interoperability tests that need no cloud account, by their public names:
/// https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md
enum InteropCase: String, CaseIterable, Sendable {
    case emptyUnary = "empty_unary"
    case largeUnary = "large_unary"
    case clientStreaming = "client_streaming"
    case serverStreaming = "server_streaming"
    case pingPong = "ping_pong"
    case emptyStream = "empty_stream"

    case customMetadata = "custom_metadata"
    case statusCodeAndMessage = "status_code_and_message"
    case specialStatusMessage = "special_status_message"
    case unimplementedMethod = "unimplemented_method"
    case unimplementedService = "unimplemented_service"

    case cancelAfterBegin = "cancel_after_begin"
    case cancelAfterFirstResponse = "cancel_after_first_response"
    case timeoutOnSleepingServer = "timeout_on_sleeping_server"

    case clientCompressedUnary = "client_compressed_unary"
    case serverCompressedUnary = "server_compressed_unary"
    case clientCompressedStreaming = "client_compressed_streaming"
    case serverCompressedStreaming = "server_compressed_streaming"

    case rpcSoak = "rpc_soak"
    case channelSoak = "channel_soak"
}

extension InteropCase: CustomTestStringConvertible {
    var testDescription: String { rawValue }
}
