import GRPC
import Logging
import Messenger

/// The two methods of the messenger, on a room.
struct MessengerService: Sendable {
    let room: Room<ByteBuffer>
    let limits: MessageLimits
    /// Notified by the room when there is something to read.
    let readers: Broadcast

    /// Messages that a stream that has fallen behind takes from the home in one go.
    private static let burst = 64

    var methods: [ServerMethod] {
        [
            sendMessage,
            .serverStreaming(MessengerMethods.readEncodedMessages) { request, writer, context in
                try await read(request, writer, context)
            }
            // As many as most clients open on one connection: all at once they stay on one queue, that gathers their
            // messages.
            .slots(128),
        ]
    }

    /// Decided once: a call to a room in memory does not know of homes.
    private var sendMessage: ServerMethod {
        guard let home = room.home else {
            return .unary(MessengerMethods.sendMessage, immediateHandler: { request, _ in try send(request) })
        }
        return .unary(MessengerMethods.sendMessage) { request, _ in try await send(request, to: home) }
    }

    /// To memory: without suspending.
    private func send(_ request: SendMessageRequest) throws(RPCError) -> SendMessageResponse {
        try check(request)
        do {
            return SendMessageResponse(sendTime: try room.append(author: request.author, text: request.text))
        } catch {
            throw RPCError(error)
        }
    }

    private func send(
        _ request: SendMessageRequest,
        to home: any HistoryHome
    ) async throws(RPCError) -> SendMessageResponse {
        try check(request)
        do {
            let time = try await room.append(author: request.author, text: request.text, home: home)
            return SendMessageResponse(sendTime: time)
        } catch {
            throw RPCError(error)
        }
    }

    private func check(_ request: SendMessageRequest) throws(RPCError) {
        if let violation = limits.violation(author: request.author, text: request.text) {
            throw RPCError(code: .invalidArgument, message: violation)
        }
    }

    private func read(
        _ request: ReadMessagesRequest,
        _ writer: ResponseWriter<ByteBuffer>,
        _ context: ServerContext
    ) async throws {
        do {
            let cursor = try room.cursor(after: request.after)
            // At once: it tells the reader that the stream is open, and where it begins.
            try await context.sendInitialMetadata([
                MessengerMethods.positionKey: .string(cursor.position.description)
            ])
            while true {
                do {
                    try await writer.follow(readers) { [room] in
                        try room.next(cursor).map { (message: $0.content, hasMore: $0.hasMore) }
                    }
                } catch RoomError.isInHome {
                    while let messages = try await room.catchUp(cursor, atMost: Self.burst) {
                        try await writer.write(contentsOf: messages)
                    }
                }
            }
        } catch let error as RoomError {
            throw RPCError(error)
        }
    }
}

extension RPCError {
    init(_ error: RoomError) {
        switch error {
        case .noLongerHeld(let heldAfter):
            self.init(
                code: .outOfRange,
                message: "only messages after \(heldAfter) are held",
                metadata: [MessengerMethods.heldAfterKey: .string(heldAfter.description)]
            )
        case .inTheFuture:
            self.init(code: .invalidArgument, message: "the position to read after lies in the future")
        case .full(let reason):
            self.init(code: .resourceExhausted, message: reason.rawValue)
        case .unavailable(let reason):
            self.init(code: .unavailable, message: reason.rawValue)
        case .isInHome:
            self.init(code: .internal, message: "the history was not read")
        case .closed:
            self.init(code: .unavailable, message: "the server is shutting down")
        }
    }
}
