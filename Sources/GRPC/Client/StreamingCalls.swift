/// A call with a stream of requests and one response. Cancelled when it is released before its end. Thread-safe.
public final class ClientStreamingCall<Request: WireMessage, Response: WireMessage>: Sendable {
    private let call: ClientCall
    private let responses: ResponseStream<Response>

    init(call: ClientCall) {
        self.call = call
        responses = ResponseStream(call: call)
    }

    /// Where the requests go.
    public var requests: RequestWriter<Request> { RequestWriter(call: call) }

    /// What the server sent before its response. Waits for it.
    public var initialMetadata: Metadata { get async throws { try await responses.initialMetadata } }

    /// What the server sent with the status. After ``response()``: the end of the call does not come before its response
    /// has been received.
    public var trailingMetadata: Metadata { get async { await responses.trailingMetadata } }

    /// Waits for the response and the end of the call. At most once.
    /// - Throws: ``RPCError`` with the call's status if that is not OK.
    public func response() async throws(RPCError) -> Response {
        var iterator = responses.makeAsyncIterator()
        guard let response = try await iterator.next() else { throw .noResponse }
        // The status comes after the last message, and decides.
        guard try await iterator.next() == nil else {
            call.cancel()
            throw RPCError(code: .internal, message: "the server sent more than one response message")
        }
        return response
    }

    /// Ends the call; what waits for it gets `CANCELLED`.
    public func cancel() {
        call.cancel()
    }
}

/// A call with a stream of requests and a stream of responses, each at its own pace. Cancelled when ``responses`` is
/// released before the end. Thread-safe.
public struct BidirectionalCall<Request: WireMessage, Response: WireMessage>: Sendable {
    /// Where the requests go.
    public let requests: RequestWriter<Request>
    /// What the server sends.
    public let responses: ResponseStream<Response>

    init(call: ClientCall) {
        requests = RequestWriter(call: call)
        responses = ResponseStream(call: call)
    }

    /// Ends the call; what waits for it gets `CANCELLED`.
    public func cancel() {
        responses.cancel()
    }
}
