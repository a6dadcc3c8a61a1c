import LibGRPC
import Testing

/// The details of an error, which travel with its status.
@Suite(.timeLimit(.minutes(5)))
struct ErrorDetailsTests {
    @Test func fromAHandlerToItsClient() async throws {
        let failing = ServerMethod.unary(Echo.unary) { request, _ in
            var error = RPCError(code: .aborted, message: "conflict", metadata: ["why": "because"])
            error.details = request.withBytes { bytes in bytes.withUnsafeBytes { [UInt8]($0) } }
            throw error
        }
        try await Loopback.run([failing]) { loopback in
            let details: [UInt8] = [8, 10, 0, 255]
            let error = await #expect(throws: RPCError.self) {
                try await loopback.channel.unary(Echo.unary, ByteBuffer(details))
            }
            #expect(error?.code == .aborted)
            #expect(error?.details == details)
            #expect(error?.metadata.first("why") == "because")
        }
    }

    @Test func replacedAndRemoved() {
        var error = RPCError(code: .aborted, message: "", metadata: ["why": "because"])
        #expect(error.details == nil)
        error.details = [1]
        error.details = [2]
        #expect(error.details == [2])
        #expect(error.metadata["grpc-status-details-bin"] == [.binary([2])])
        error.details = nil
        #expect(error.metadata == ["why": "because"])
    }
}
