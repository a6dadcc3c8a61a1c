import GRPC
import Logging
import Messenger

/// The two methods of the messenger, on a room.
struct MessengerService: Sendable {
    let room: Room<ByteBuffer>
    let limits: MessageLimits
    /// Notified by the room when there is something to read.
    let readers: Broadcast

    var methods: [ServerMethod] {
        [
            .unary(MessengerMethods.sendMessage, immediateHandler: { request, _ in try send(request) }),
            .serverStreaming(MessengerMethods.readEncodedMessages) { request, writer, context in
                try await read(request, writer, context)
            },
        ]
    }

    private func send(_ request: SendMessageRequest) throws(RPCError) -> SendMessageResponse {
        if let violation = limits.violation(author: request.author, text: request.text) {
            throw RPCError(code: .invalidArgument, message: violation)
        }
        do {
            return SendMessageResponse(sendTime: try room.append(author: request.author, text: request.text))
        } catch {
            throw RPCError(error)
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
            try await writer.follow(readers) { [room] in try room.next(cursor).map { (message: $0.content, hasMore: $0.hasMore) } }
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
        case .closed:
            self.init(code: .unavailable, message: "the server is shutting down")
        }
    }
}
