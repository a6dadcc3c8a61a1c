import NIOCore
import NIOHTTP1

/// A request that is answered with an error: `{"sendTime":null,"error":"…"}`.
struct HTTPFailure: Error, Sendable, Equatable {
    /// The status of the answer.
    var status: HTTPResponseStatus
    /// One short sentence for whoever sent the request, without internals.
    var message: String
    /// Further header fields of the answer.
    var headers: HTTPHeaders = [:]

    /// 400: the request cannot be understood.
    static func badRequest(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .badRequest, message: message)
    }

    /// 404: there is nothing under this path.
    static let notFound = HTTPFailure(status: .notFound, message: "There is nothing here.")

    /// 405: the path takes other methods.
    static func methodNotAllowed(_ allowed: [HTTPMethod]) -> HTTPFailure {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        return HTTPFailure(
            status: .methodNotAllowed,
            message: "The method must be \(names).",
            headers: ["Allow": names]
        )
    }

    /// 408: the request did not come whole in time.
    static let timeout = HTTPFailure(status: .requestTimeout, message: "The request took too long to arrive.")

    /// 413: a part of the body is too long.
    static func tooLarge(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .payloadTooLarge, message: message)
    }

    /// 413: the body is longer than `limit`, in bytes.
    static func bodyTooLong(limit: Int) -> HTTPFailure {
        .tooLarge("The body is longer than \(limit) bytes.")
    }

    /// 400: it cannot be read as HTTP.
    static let notHTTP = HTTPFailure(status: .badRequest, message: "The request is not valid HTTP.")

    /// 431: there are too many header fields, or too long ones.
    static let headersTooLong = HTTPFailure(
        status: .requestHeaderFieldsTooLarge,
        message: "The header fields are too long."
    )

    /// 503: as many messages as may be sent at a time are on their way.
    static let tooManySends = HTTPFailure(
        status: .serviceUnavailable,
        message: "Too many messages are being sent; try again later."
    )

    /// 503: the stream from the server has not been opened yet.
    static let notOpenYet = HTTPFailure(
        status: .serviceUnavailable,
        message: "The stream from the server is not open yet."
    )
}

extension HTTPFailure {
    /// The failure of a message that could not be sent.
    init(_ error: SendError) {
        let status: HTTPResponseStatus =
            switch error.code {
            case .unavailable: .serviceUnavailable
            case .deadlineExceeded: .gatewayTimeout
            case .invalidArgument: .badRequest
            case .resourceExhausted: .tooManyRequests
            case .storageFull: .insufficientStorage
            default: .badGateway
            }
        self.init(status: status, message: error.message)
    }

    /// The answer that says so.
    var response: HTTPResponse {
        var body = ByteBuffer()
        body.writeStaticString(#"{"sendTime":null,"error":"#)
        body.writeJSON(self.message)
        body.writeStaticString("}")
        return HTTPResponse(status: self.status, headers: self.headers, body: body)
    }
}
