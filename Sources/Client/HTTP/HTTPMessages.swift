import NIOCore
import NIOHTTP1
import Synchronization

/// A request that has arrived whole.
struct HTTPRequest: Sendable {
    let head: HTTPRequestHead
    let body: ByteBuffer
}

/// An answer to a request: JSON, unless its headers say otherwise.
struct HTTPResponse: Sendable {
    /// The rest of a long body. A part is made when the connection can take it.
    typealias Parts = any IteratorProtocol<ByteBuffer> & Sendable

    var status = HTTPResponseStatus.ok
    /// Beside those that every response has.
    var headers: HTTPHeaders = [:]
    /// The body, or its beginning.
    var body: ByteBuffer
    var rest: Parts?
    /// Called once the peer's TCP has acknowledged the whole response. Released without a call if that never happens.
    var whenAcknowledged: (@Sendable () -> Void)?
}

/// How a request is answered.
enum HTTPReply: Sendable {
    /// Starts work on the connection's event loop, without blocking it. It calls back once, on any thread.
    typealias Start = @Sendable (_ respond: @escaping @Sendable (HTTPResponse) -> Void) -> Cancellation

    case now(HTTPResponse)
    /// Once the stream from the server has been opened for the first time. A message sent before could be missing from its
    /// sender's own inbox.
    case whenOpen(@Sendable () throws(HTTPFailure) -> HTTPReply)
    /// When the work calls back. It goes on if the peer leaves.
    case later(Start)
}

/// A request that is answered with an error: `{"sendTime":null,"error":"…"}`.
struct HTTPFailure: Error, Sendable, Equatable {
    var status: HTTPResponseStatus
    /// One short sentence for the peer, without internals.
    var message: String
    /// Further header fields of the answer.
    var headers: HTTPHeaders = [:]
    /// Whether to answer before the request's end, and to close the connection.
    var endsConnection = false

    var response: HTTPResponse {
        var body = ByteBuffer()
        body.writeStaticString(#"{"sendTime":null,"error":"#)
        body.writeJSON(self.message)
        body.writeStaticString("}")
        return HTTPResponse(status: self.status, headers: self.headers, body: body)
    }
}

extension HTTPFailure {
    static func badRequest(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .badRequest, message: message)
    }

    static let notHTTP = HTTPFailure(
        status: .badRequest,
        message: "The request is not valid HTTP.",
        endsConnection: true
    )

    static func forbidden(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .forbidden, message: message)
    }

    static let notFound = HTTPFailure(status: .notFound, message: "There is nothing here.")

    static func methodNotAllowed(_ allowed: [HTTPMethod]) -> HTTPFailure {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        return HTTPFailure(
            status: .methodNotAllowed,
            message: "The method must be \(names).",
            headers: ["Allow": names]
        )
    }

    static let timeout = HTTPFailure(
        status: .requestTimeout,
        message: "The request took too long to arrive.",
        endsConnection: true
    )

    static func tooLarge(_ message: String) -> HTTPFailure {
        HTTPFailure(status: .payloadTooLarge, message: message)
    }

    static func bodyTooLong(limit: Int) -> HTTPFailure {
        HTTPFailure(
            status: .payloadTooLarge,
            message: "The body is longer than \(limit) bytes.",
            endsConnection: true
        )
    }

    static let targetTooLong = HTTPFailure(
        status: .uriTooLong,
        message: "The request's target is too long.",
        endsConnection: true
    )

    static let compressed = HTTPFailure(
        status: .unsupportedMediaType,
        message: "The body must not be compressed.",
        headers: ["Accept-Encoding": "identity"]
    )

    static let headersTooLong = HTTPFailure(
        status: .requestHeaderFieldsTooLarge,
        message: "The header fields are too long.",
        endsConnection: true
    )

    /// 503 for what may pass soon.
    static func busy(_ message: String) -> HTTPFailure {
        HTTPFailure(
            status: .serviceUnavailable,
            message: message,
            headers: ["Retry-After": "1"],
            endsConnection: true
        )
    }

    static let outOfMemory = busy("The requests in progress use all the memory that they may; try again later.")
    static let tooManyConnections = busy("Too many connections are open; try again later.")
    static let tooManySends = busy("Too many messages are being sent; try again later.")
    static let notOpenYet = HTTPFailure(
        status: .serviceUnavailable,
        message: "The stream from the server is not open yet."
    )

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
}

/// The memory that all connections may use together, in bytes. Thread-safe.
final class HTTPMemory: Sendable {
    private let limit: Int
    private let used = Atomic(0)
    /// What is out for delivery. At most half of the limit, so that a slow reader leaves room for others.
    private let leased = Mutex(0)

    init(limit: Int) {
        self.limit = limit
    }

    var usedBytes: Int { self.used.load(ordering: .relaxed) }

    /// Reserves memory, to be released; `false` if there is not enough.
    func reserve(_ bytes: Int) -> Bool {
        if self.used.add(bytes, ordering: .relaxed).newValue <= self.limit { return true }
        self.release(bytes)
        return false
    }

    func release(_ bytes: Int) {
        self.used.subtract(bytes, ordering: .relaxed)
    }

    /// Takes messages out of the inbox, as many as may be out for delivery.
    func lease(from inbox: Inbox) -> Lease {
        self.leased.withLock { leased in
            let delivery = inbox.flush(atMost: self.limit / 2 - leased)
            leased += delivery.bytes
            self.used.add(delivery.bytes, ordering: .relaxed)
            return Lease(delivery, self)
        }
    }

    /// Messages out for delivery. They count until this is released.
    final class Lease: Sendable {
        let delivery: Delivery
        private let memory: HTTPMemory

        fileprivate init(_ delivery: Delivery, _ memory: HTTPMemory) {
            self.delivery = delivery
            self.memory = memory
        }

        deinit {
            self.memory.leased.withLock { $0 -= self.delivery.bytes }
            self.memory.release(self.delivery.bytes)
        }
    }
}
