/// How a request is answered.
enum HTTPReply {
    /// Makes a response when something has been waited for. The gate opens when whoever sent the request has gone.
    typealias Deferred = @Sendable (_ departure: Gate) async throws(HTTPFailure) -> HTTPResponse

    /// At once.
    case now(HTTPResponse)
    case later(Deferred)
}
