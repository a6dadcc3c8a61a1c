import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1
import Synchronization

/// The paths that the client answers.
struct Routes: Sendable {
    let all: [HTTPRoute]

    init(room: some RemoteRoom, inbox: Inbox, events: EventHub, memory: HTTPMemory, settings: ClientSettings) {
        let opening = FirstOpening(latch: room.streamOpened, timeout: settings.openTimeout) {
            room.subscriptionStatus.isRefused
        }
        let sending = Sending(
            room: room,
            limits: settings.shared.messageLimits,
            maximum: settings.httpLimits.possibleConnections
        )
        let leases = MessageLeases(inbox: inbox, memory: memory)
        let api = [
            HTTPRoute("/sendMessage", [.POST]) { request throws(HTTPFailure) in
                // A bad request is refused without waiting.
                let message = try sending.message(in: request)
                return try opening.wait { .callback { sending.send(message, $0) } }
            },
            HTTPRoute("/getAndFlushMessages", [.POST]) { _ throws(HTTPFailure) in
                try opening.wait { () throws(HTTPFailure) in .response(try leases.flush()) }
            },
            MessagesRoute(room: room).route,
            EventsRoute(hub: events, memory: memory).route,
            HTTPRoute("/healthz", [.GET, .HEAD], isHealth: true) { _ in
                .response(HTTPResponse(body: ByteBuffer(staticString: #"{"status":"ok"}"#)))
            },
            HTTPRoute("/readyz", [.GET, .HEAD], isHealth: true) { _ in
                .response(Self.readiness(room.subscriptionStatus, inbox.counters))
            },
        ]
        all = api + PageRoutes.all
    }

    /// Says whether messages arrive as the room accepts them, or would if the buffer were not full, and what waits to be
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

/// Lets requests wait for the first opening of the stream from the server. A message that is sent before could be missing
/// from its sender's own inbox.
private struct FirstOpening: Sendable {
    let latch: Latch
    let timeout: Duration
    /// Whether the server refuses to open it.
    let isRefused: @Sendable () -> Bool

    func wait(
        then answer: @escaping @Sendable () throws(HTTPFailure) -> HTTPReply
    ) throws(HTTPFailure) -> HTTPReply {
        if latch.isOpen { return try answer() }
        let refusal = HTTPFailure(.badGateway, ServerToken.refusal)
        guard !isRefused() else { throw refusal }
        return .waitingTask { [latch, timeout, isRefused] () async throws(HTTPFailure) in
            guard await latch.wait(timeout: timeout) else {
                guard !isRefused() else { throw refusal }
                throw HTTPFailure(.serviceUnavailable, "The stream from the server is not open yet.")
            }
            return try answer()
        }
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

    func message(in request: HTTPRequest) throws(HTTPFailure) -> OutgoingMessage {
        let body: SendMessageBody
        do throws(InvalidBody) {
            body = try SendMessageBody(json: Array(buffer: request.body))
        } catch {
            throw HTTPFailure(.badRequest, error.message)
        }
        if let violation = limits.violation(author: body.author, text: body.text) {
            throw HTTPFailure(.payloadTooLarge, violation)
        }
        let key = try key(in: request.head.headers)
        return OutgoingMessage(author: body.author, text: body.text, key: key, requestID: request.id)
    }

    /// The user's key, or a new one: the message may have to be sent again.
    private func key(in headers: HTTPHeaders) throws(HTTPFailure) -> IdempotencyKey {
        let values = headers["Idempotency-Key"]
        guard let value = values.first else { return .random() }
        guard values.count == 1, let key = IdempotencyKey(value) else {
            let form = "once, with 1 to \(IdempotencyKey.maxLength) characters of printable ASCII"
            throw HTTPFailure(.badRequest, "Idempotency-Key must be there \(form).")
        }
        return key
    }

    func send(
        _ message: OutgoingMessage,
        _ respond: @escaping @Sendable (Result<HTTPResponse, HTTPFailure>) -> Void
    ) -> @Sendable () -> Void {
        guard count.add(1, ordering: .relaxed).newValue <= maximum else {
            count.subtract(1, ordering: .relaxed)
            respond(.failure(.busy("Too many messages are being sent; try again later.")))
            return {}
        }
        return room.send(message) { [self] outcome in
            count.subtract(1, ordering: .relaxed)
            respond(outcome.map(Self.response).mapError(HTTPFailure.init))
        }
    }

    private static func response(_ sendTime: SendTime) -> HTTPResponse {
        var body = ByteBufferAllocator().buffer(capacity: 64)
        body.writeStaticString(#"{"sendTime":"#)
        body.writeJSON(sendTime)
        body.writeStaticString(#","error":null}"#)
        return HTTPResponse(body: body)
    }
}

extension HTTPFailure {
    fileprivate init(_ error: SendError) {
        let status: HTTPResponseStatus =
            switch error.code {
            case .unavailable: .serviceUnavailable
            case .deadlineExceeded: .gatewayTimeout
            case .invalidArgument: .badRequest
            case .resourceExhausted: .tooManyRequests
            case .storageFull: .insufficientStorage
            case .keyIsTaken: .conflict
            default: .badGateway
            }
        self.init(status, error.message)
    }
}

// MARK: - POST /getAndFlushMessages

/// Messages that are being fetched: at most half of the memory for HTTP, so that slow readers leave some for others.
final class MessageLeases: Sendable {
    private let inbox: Inbox
    private let memory: HTTPMemory
    private let leased = Mutex(0)

    init(inbox: Inbox, memory: HTTPMemory) {
        self.inbox = inbox
        self.memory = memory
    }

    /// Empties the inbox into a response, in chunks if it is long. The messages are gone when the peer's TCP has
    /// acknowledged all of it; if the connection ends before, they are in the inbox again.
    func flush() throws(HTTPFailure) -> HTTPResponse {
        let lease = take()
        // What has arrived since says nothing about the memory.
        guard !lease.delivery.messages.isEmpty || !lease.delivery.hasMore else { throw .outOfMemory }
        var chunks = MessageListChunks(lease.delivery.messages)
        let first = chunks.next() ?? ByteBuffer()
        guard !lease.delivery.messages.isEmpty else { return HTTPResponse(body: first) }
        return HTTPResponse(
            body: first,
            chunks: chunks.isFinished ? nil : chunks,
            whenAcknowledged: { lease.delivery.acknowledge() }
        )
    }

    /// Takes as many messages as the memory allows out of the inbox.
    func take() -> Lease {
        leased.withLock { leased in
            let delivery = inbox.lease(maxBytes: memory.limit / 2 - leased)
            leased += delivery.bytes
            memory.add(delivery.bytes)
            return Lease(delivery, self)
        }
    }

    /// Messages that are being fetched. They count until this is released.
    final class Lease: Sendable {
        let delivery: Inbox.Lease
        private let leases: MessageLeases

        fileprivate init(_ delivery: Inbox.Lease, _ leases: MessageLeases) {
            self.delivery = delivery
            self.leases = leases
        }

        deinit {
            leases.leased.withLock { $0 -= delivery.bytes }
            leases.memory.release(delivery.bytes)
        }
    }
}
