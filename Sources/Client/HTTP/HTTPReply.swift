/// How a request is answered.
enum HTTPReply: Sendable {
    /// Makes a response, on the connection's event loop, which it may not block.
    typealias Make = @Sendable () -> HTTPResponse
    /// Begins what has to be done for the response, on the same loop. It calls back once, on any thread.
    typealias Begin = @Sendable (_ respond: @escaping @Sendable (@escaping Make) -> Void) -> Cancellation
    /// Waits before it says how the request is answered. The gate opens when whoever sent the request has gone.
    typealias Wait = @Sendable (_ departure: Gate) async throws(HTTPFailure) -> HTTPReply

    /// At once.
    case now(HTTPResponse)
    /// When something has called back, which goes on when whoever sent the request has gone.
    case begin(Begin)
    /// After something has been waited for.
    case after(Wait)
}
