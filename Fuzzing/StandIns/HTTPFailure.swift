/// As much of the client's HTTP errors as the reader of bodies needs, without the types of an HTTP server.
struct HTTPFailure: Error, Equatable {
    var message: String

    static func badRequest(_ message: String) -> HTTPFailure {
        HTTPFailure(message: message)
    }
}
