package import NIOCore
package import NIOHTTP1

/// A path that is answered.
package struct HTTPRoute: Sendable {
    package let path: String
    package let methods: [HTTPMethod]
    /// Whether it is also answered on the reserved connections, and however little memory is left.
    let isHealth: Bool
    /// Whether a browser may open it from a link on another site. It must show and do nothing by itself.
    let isLinkable: Bool
    /// Whether everybody may make the request, whatever the ``HTTPAdmission``. Health checks are open too.
    let isOpen: Bool
    /// Sees the beginning of each answer to this path.
    package var observer: HTTPObserver?
    /// Answers on the connection's event loop, without blocking it.
    package let answer: @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply

    package init(
        _ path: String,
        _ methods: [HTTPMethod],
        isHealth: Bool = false,
        isLinkable: Bool = false,
        isOpen: Bool = false,
        answer: @escaping @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply
    ) {
        self.path = path
        self.methods = methods
        self.isHealth = isHealth
        self.isLinkable = isLinkable
        self.isOpen = isOpen || isHealth
        self.answer = answer
    }
}

/// Sees the beginning of an answer. Called on the connection's event loop, which it must not block.
package typealias HTTPObserver = @Sendable (HTTPAnswer) -> Void

/// What is known when an answer begins.
package struct HTTPAnswer: Sendable {
    package let status: HTTPResponseStatus
    /// The time since the end of the request's head.
    package let duration: Duration
    /// See ``HTTPRequest/id``; `nil` if no request could be read.
    package let requestID: String?
}

/// A request that has arrived completely.
package struct HTTPRequest: Sendable {
    package let head: HTTPRequestHead
    package let body: ByteBuffer
    /// The request's own or a new one. The answer has it as `X-Request-Id`.
    package let id: String

    package init(head: HTTPRequestHead, body: ByteBuffer, id: String = "") {
        self.head = head
        self.body = body
        self.id = id
    }
}

/// How a route answers a request.
package enum HTTPReply: Sendable {
    /// Starts work on the connection's event loop, without blocking it. The work calls back once, on any thread.
    ///
    /// - Returns: Cancels the work, which calls back soon.
    package typealias Start =
        @Sendable (_ respond: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void)
        -> @Sendable () -> Void

    case response(HTTPResponse)
    /// Answers when the work calls back. It goes on if the peer leaves; only a forced stop cancels it.
    case callback(Start)
    /// Answers when the task returns. It is cancelled when the connection has ended, or by a forced stop.
    case task(@Sendable () async throws(HTTPFailure) -> HTTPReply)
    /// The same for a task that has begun nothing yet. It is also cancelled when the peer sends no more, which may have
    /// left, or when the server stops.
    case waitingTask(@Sendable () async throws(HTTPFailure) -> HTTPReply)
}

/// A response: JSON, unless its headers say otherwise.
package struct HTTPResponse: Sendable {
    /// Chunks of a body. Each is made when the peer can take it.
    package typealias Chunks = any IteratorProtocol<ByteBuffer> & Sendable

    package var status: HTTPResponseStatus
    /// In addition to those that every response has.
    package var headers: HTTPHeaders
    /// The body, or its first chunk.
    package var body: ByteBuffer
    /// The rest of a body that is sent in chunks.
    package var chunks: Chunks?
    /// Writes the rest of a body that is not there yet, in a task. The task is cancelled when the connection has ended, or
    /// by a forced stop. If it throws, the connection ends, so that the peer sees that the body is not complete.
    package var stream: (@Sendable (HTTPBodyWriter) async throws -> Void)?
    /// Makes what makes the rest of a body that goes on until the peer leaves. Called on the connection's event loop, if
    /// the response has a body.
    package var source: (@Sendable (HTTPBodyWaker) -> any HTTPBodySource)?
    /// Counts the chunks of the body. The server's own by default.
    package var memory: HTTPMemory?
    /// Called once the peer's TCP has acknowledged the whole response. Released without a call if that never happens.
    package var whenAcknowledged: (@Sendable () -> Void)?

    package init(
        status: HTTPResponseStatus = .ok,
        headers: HTTPHeaders = [:],
        body: ByteBuffer,
        chunks: Chunks? = nil,
        stream: (@Sendable (HTTPBodyWriter) async throws -> Void)? = nil,
        source: (@Sendable (HTTPBodyWaker) -> any HTTPBodySource)? = nil,
        memory: HTTPMemory? = nil,
        whenAcknowledged: (@Sendable () -> Void)? = nil
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.chunks = chunks
        self.stream = stream
        self.source = source
        self.memory = memory
        self.whenAcknowledged = whenAcknowledged
    }
}

/// Writes the body of a response, chunk by chunk. For one task.
package struct HTTPBodyWriter: Sendable {
    let eventLoop: any EventLoop
    let connection: NIOLoopBound<HTTPConnection>

    /// Writes a chunk, and waits until the peer can take the next one.
    ///
    /// - Throws: `CancellationError` if the connection has ended, or by a forced stop.
    package func write(_ chunk: ByteBuffer) async throws {
        try await withCheckedThrowingContinuation { continuation in
            eventLoop.execute { connection.value.write(chunk, then: continuation) }
        }
        try Task.checkCancellation()
    }
}

/// A request that is answered with an error.
package struct HTTPFailure: Error, Sendable, Equatable {
    package var status: HTTPResponseStatus
    /// One short sentence for the peer, without internals.
    package var message: String
    /// Further header fields of the response.
    package var headers: HTTPHeaders
    /// Whether to answer before the request's end, and to close the connection.
    package var endsConnection: Bool

    package init(
        _ status: HTTPResponseStatus,
        _ message: String,
        headers: HTTPHeaders = [:],
        endsConnection: Bool = false
    ) {
        self.status = status
        self.message = message
        self.headers = headers
        self.endsConnection = endsConnection
    }

    /// 503 for what may pass soon.
    package static func busy(_ message: String) -> HTTPFailure {
        HTTPFailure(.serviceUnavailable, message, headers: ["Retry-After": "1"], endsConnection: true)
    }

    package static let outOfMemory = busy(
        "The requests in progress use all the memory that they may; try again later."
    )
    static let tooManyConnections = busy("Too many connections are open; try again later.")
    static let invalidHTTP = HTTPFailure(.badRequest, "The request is not valid HTTP.", endsConnection: true)
    static let notFound = HTTPFailure(.notFound, "There is nothing here.")
    static let timeout = HTTPFailure(.requestTimeout, "The request took too long to arrive.", endsConnection: true)
    static let targetTooLong = HTTPFailure(.uriTooLong, "The request's target is too long.", endsConnection: true)
    static let headersTooLong = HTTPFailure(
        .requestHeaderFieldsTooLarge,
        "The header fields are too long.",
        endsConnection: true
    )
    static let compressed = HTTPFailure(
        .unsupportedMediaType,
        "The body must not be compressed.",
        headers: ["Accept-Encoding": "identity"]
    )

    static func methodNotAllowed(_ allowed: [HTTPMethod]) -> HTTPFailure {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        return HTTPFailure(.methodNotAllowed, "The method must be \(names).", headers: ["Allow": names])
    }

    static func bodyTooLong(limit: Int) -> HTTPFailure {
        HTTPFailure(.payloadTooLarge, "The body is longer than \(limit) bytes.", endsConnection: true)
    }
}
