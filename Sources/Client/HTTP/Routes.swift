import Messenger
import NIOCore
import NIOHTTP1
import Synchronization

/// A path that is answered.
struct Route: Sendable {
    let path: String
    let methods: [HTTPMethod]
    /// Whether it is also answered on the connections that are kept in reserve.
    var isHealth = false
    /// Answers on the connection's event loop, without blocking it.
    let answer: @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPReply
}

/// The paths that are answered, each by a closure of its own.
struct Routes: Sendable {
    let table: [Route]

    /// The route for a request. Paths are compared as bytes.
    func route(for head: HTTPRequestHead) throws(HTTPFailure) -> Route {
        let path = head.path
        guard let route = self.table.first(where: { path.elementsEqual($0.path.utf8) }) else { throw .notFound }
        guard route.methods.contains(head.method) else { throw .methodNotAllowed(route.methods) }
        return route
    }

    init(table: [Route]) {
        self.table = table
    }

    init(room: some RemoteRoom, inbox: Inbox, memory: HTTPMemory, settings: ClientSettings) {
        let sending = Sending(
            room: room,
            limits: settings.shared.messageLimits,
            maximum: settings.httpLimits.possibleConnections
        )
        self.table = [
            Route(path: "/sendMessage", methods: [.POST]) { request throws(HTTPFailure) in
                try sending.reply(to: request)
            },
            Route(path: "/getAndFlushMessages", methods: [.POST]) { _ throws(HTTPFailure) in
                .whenOpen { () throws(HTTPFailure) in .now(try Self.flush(inbox, memory)) }
            },
            Route(path: "/healthz", methods: [.GET, .HEAD], isHealth: true) { _ in
                .now(HTTPResponse(body: ByteBuffer(staticString: #"{"status":"ok"}"#)))
            },
            Route(path: "/readyz", methods: [.GET, .HEAD], isHealth: true) { _ in
                .now(Self.readiness(room.subscription, inbox.counters))
            },
        ]
    }
}

/// What all connections have in common.
struct HTTPService: Sendable {
    let route: @Sendable (HTTPRequestHead) throws(HTTPFailure) -> Route
    let limits: HTTPLimits
    let memory: HTTPMemory
    let allowedHosts: HostNames
    let greatestBodyBytes: Int
    /// Opens once the stream from the server has been opened for the first time.
    let opening: Gate
    let openTimeout: Duration

    /// The route for a request, if its head may be answered.
    func route(for head: HTTPRequestHead, isReserve: Bool) throws(HTTPFailure) -> Route {
        try head.checkFraming()
        try head.checkOrigin(allowing: self.allowedHosts)
        let route = try self.route(head)
        guard route.isHealth || !isReserve else { throw .tooManyConnections }
        guard head.headers["Content-Encoding"].allSatisfy({ $0.utf8.isASCIIEqual(to: "identity".utf8) }) else {
            throw .compressed
        }
        if let length = head.announcedBodyBytes, length > self.greatestBodyBytes {
            throw .bodyTooLong(limit: self.greatestBodyBytes)
        }
        return route
    }
}

// MARK: - POST /sendMessage

/// Sends messages into the room, a bounded number at a time: a send goes on if its peer has gone.
private final class Sending<Room: RemoteRoom>: Sendable {
    private let room: Room
    private let limits: MessageLimits
    private let maximum: Int
    private let count = Atomic(0)

    init(room: Room, limits: MessageLimits, maximum: Int) {
        self.room = room
        self.limits = limits
        self.maximum = maximum
    }

    func reply(to request: HTTPRequest) throws(HTTPFailure) -> HTTPReply {
        let message = try SendMessageBody(json: Array(buffer: request.body))
        if let violation = self.limits.violation(author: message.author, text: message.text) {
            throw .tooLarge(violation)
        }
        return .whenOpen { .later { respond in self.send(message, respond) } }
    }

    private func send(_ message: SendMessageBody, _ respond: @escaping @Sendable (HTTPResponse) -> Void) -> Cancellation
    {
        guard self.count.add(1, ordering: .relaxed).newValue <= self.maximum else {
            self.count.subtract(1, ordering: .relaxed)
            respond(HTTPFailure.tooManySends.response)
            return {}
        }
        return self.room.send(author: message.author, text: message.text) { outcome in
            self.count.subtract(1, ordering: .relaxed)
            respond(Self.response(outcome))
        }
    }

    private static func response(_ outcome: Result<SendTime, SendError>) -> HTTPResponse {
        switch outcome {
        case .success(let sendTime):
            var body = ByteBufferAllocator().buffer(capacity: 64)
            body.writeStaticString(#"{"sendTime":"#)
            body.writeJSON(sendTime)
            body.writeStaticString(#","error":null}"#)
            return HTTPResponse(body: body)
        case .failure(let error):
            return HTTPFailure(error).response
        }
    }
}

extension MessageLimits {
    /// The longest request body that is read, in bytes.
    ///
    /// JSON may write each byte of author and text with six (`\u0000`), and there is room for the keys, white space and
    /// a few keys that nobody asked for.
    var greatestBodyBytes: Int {
        6 * (self.authorBytes + self.textBytes) + 4096
    }
}

// MARK: - POST /getAndFlushMessages, GET /readyz

extension Routes {
    /// Empties the inbox into a response, in chunks if it is long. The messages are gone when the peer's TCP has
    /// acknowledged all of it; if the connection ends before, they are in the inbox again.
    private static func flush(_ inbox: Inbox, _ memory: HTTPMemory) throws(HTTPFailure) -> HTTPResponse {
        let lease = memory.lease(from: inbox)
        // What has arrived since says nothing about the memory.
        guard !lease.delivery.messages.isEmpty || !lease.delivery.isCutShort else { throw .outOfMemory }
        var chunks = MessageListChunks(lease.delivery.messages)
        let first = chunks.next() ?? ByteBuffer()
        guard !lease.delivery.messages.isEmpty else { return HTTPResponse(body: first) }
        return HTTPResponse(
            body: first,
            rest: chunks.isFinished ? nil : chunks,
            whenAcknowledged: { lease.delivery.confirm() }
        )
    }

    /// Says whether messages arrive as the room accepts them, or would if the buffer were not full, and what is to be
    /// fetched.
    private static func readiness(_ subscription: SubscriptionStatus, _ inbox: Inbox.Counters) -> HTTPResponse {
        let isReady = subscription.stream.isConnected
        let body = """
            {"status":"\(isReady ? "ready" : "not ready")","stream":"\(subscription.stream.rawValue)",\
            "gaps":\(subscription.gaps),"received":\(inbox.received),\
            "buffered":\(inbox.messages),"bufferedBytes":\(inbox.bytes),\
            "leased":\(inbox.leasedMessages),"leasedBytes":\(inbox.leasedBytes)}
            """
        return HTTPResponse(status: isReady ? .ok : .serviceUnavailable, body: ByteBuffer(string: body))
    }
}
