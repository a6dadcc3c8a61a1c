import HTTPTypes
import Hummingbird

/// A request that is answered with an error: `{"sendTime":null,"error":"…"}`.
struct HTTPFailure: Error, Sendable, Equatable {
    /// The status of the answer.
    var status: HTTPResponse.Status
    /// One short sentence for whoever sent the request, without internals.
    var message: String
    /// Further header fields of the answer.
    var headers: HTTPFields = [:]

    /// 400: the request cannot be understood.
    static func badRequest(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .badRequest, message: message)
    }

    /// 404: there is nothing under this path.
    static let notFound = HTTPFailure(status: .notFound, message: "There is nothing here.")

    /// 405: the path takes other methods.
    static func methodNotAllowed(_ allowed: [HTTPRequest.Method]) -> HTTPFailure {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        return HTTPFailure(status: .methodNotAllowed, message: "The method must be \(names).", headers: [.allow: names])
    }

    /// 408: the request did not come whole in time.
    static let timeout = HTTPFailure(
        status: .requestTimeout,
        message: "The request took too long to arrive.",
        headers: [.connection: "close"]
    )

    /// 413: the body or a part of it is too long.
    static func tooLarge(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .contentTooLarge, message: message)
    }

    /// 503: the stream from the server has not been opened yet.
    static let notOpenYet = HTTPFailure(
        status: .serviceUnavailable,
        message: "The stream from the server is not open yet."
    )

    /// 500: what should not happen. The log has more.
    static let unexpected = HTTPFailure(status: .internalServerError, message: "The request failed.")
}

extension HTTPFailure {
    /// The failure of a message that could not be sent.
    init(_ error: SendError) {
        let status: HTTPResponse.Status =
            switch error.code {
            case .unavailable: .serviceUnavailable
            case .deadlineExceeded: .gatewayTimeout
            case .invalidArgument: .badRequest
            case .resourceExhausted: .tooManyRequests
            case .storageFull: .init(code: 507, reasonPhrase: "Insufficient Storage")
            default: .badGateway
            }
        self.init(status: status, message: error.message)
    }

    /// The body of the answer.
    var body: ByteBuffer {
        var body = ByteBuffer()
        body.writeStaticString(#"{"sendTime":null,"error":"#)
        body.writeJSON(self.message)
        body.writeStaticString("}")
        return body
    }

    /// The answer to a request with the given method.
    func response(to method: HTTPRequest.Method) -> Response {
        .json(self.body, status: self.status, headers: self.headers, to: method)
    }
}
