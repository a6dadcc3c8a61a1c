import CGRPC
import CGRPCInspection

@testable import GRPC

// Whether a message came compressed: a question for tests alone, so nothing of this is in the binding.

extension ServerContext {
    /// Of the request that was received last.
    var requestWasCompressed: Bool { call.messageWasCompressed }
}

extension Call {
    /// Of the message that was received last.
    var messageWasCompressed: Bool {
        guard let call = storage.pointee.call else { return false }
        return cgrpc_call_message_was_compressed(call)
    }
}

extension Channel {
    /// As `unary`, and whether the response was compressed.
    func inspectedUnary<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request
    ) async throws -> (response: Response, wasCompressed: Bool) {
        let call = try ClientCall(channel: self, path: method.path, options: CallOptions())
        let response = try Response(decoding: try await call.exchange(try request.encoded()))
        return (response, call.messageWasCompressed)
    }

    /// As `serverStreaming`, with all responses, and whether each was compressed.
    func inspectedServerStreaming<Request, Response>(
        _ method: MethodDescriptor<Request, Response>,
        _ request: Request
    ) async throws -> [(response: Response, wasCompressed: Bool)] {
        let call = try ClientCall(channel: self, path: method.path, options: CallOptions())
        try call.startStream(try request.encoded())
        var responses: [(Response, Bool)] = []
        for try await response in ResponseStream<Response>(call: call) {
            responses.append((response, call.messageWasCompressed))
        }
        return responses
    }
}
