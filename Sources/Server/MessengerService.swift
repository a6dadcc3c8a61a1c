import LibGRPC
import Logging
import Messenger

/// The gRPC methods `SendMessage` and `ReadMessages` of a room.
struct MessengerService: Sendable {
    let room: Room<ByteBuffer>
    let limits: MessageLimits
    /// The open streams. The room notifies them when there is something to read.
    let readers: Broadcast
    /// The messages that streams have read from storage, because they had fallen behind memory.
    let sentFromStorage = SharedCount()
    /// Where the streams are; `nil` if nobody asks.
    let cursors: Room<ByteBuffer>.OpenCursors?
    private let refused = RefusedSends()

    init(room: Room<ByteBuffer>, limits: MessageLimits, readers: Broadcast, cursors: Room<ByteBuffer>.OpenCursors?) {
        self.room = room
        self.limits = limits
        self.readers = readers
        self.cursors = cursors
    }

    var methods: [ServerMethod] {
        // Most clients open no more streams than this on one connection. They then share one queue, which writes their
        // messages together.
        [sendMessage, readMessages.slots(104)]
    }

    private var sendMessage: ServerMethod {
        .responder(MessengerMethods.sendMessage) { request, _, reply in
            guard let store = room.store else { return reply.complete { try send(request) } }
            let message: NewMessage
            do {
                message = try self.message(in: request)
            } catch {
                return reply.fail(error)
            }
            let complete = reply.callback()
            store.append(message) { [refused] result in
                if case .failure(let error) = result { refused.count(error) }
                complete(result.map(SendMessageResponse.init(sendTime:)).mapError { RPCError(RoomError($0)) })
            }
        }
    }

    /// Without storage nothing waits.
    private func send(_ request: SendMessageRequest) throws(RPCError) -> SendMessageResponse {
        let message = try message(in: request)
        do {
            return SendMessageResponse(sendTime: try room.append(message))
        } catch {
            throw RPCError(error)
        }
    }

    private func message(in request: SendMessageRequest) throws(RPCError) -> NewMessage {
        if let violation = limits.violation(author: request.author, text: request.text) {
            throw RPCError(code: .invalidArgument, message: violation)
        }
        var message = NewMessage(author: request.author, text: request.text)
        guard !request.idempotencyKey.isEmpty else { return message }
        message.key = IdempotencyKey(request.idempotencyKey)
        guard message.key != nil else {
            let form = "at most \(IdempotencyKey.maxLength) characters of printable ASCII"
            throw RPCError(code: .invalidArgument, message: "idempotencyKey must be \(form)")
        }
        return message
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
            self.init(code: .resourceExhausted, reason)
        case .unavailable(let reason):
            self.init(code: .unavailable, reason)
        case .onlyInStorage, .complete:
            self.init(code: .internal, message: "the history was not read")
        case .keyIsTaken:
            self.init(code: .alreadyExists, message: "another message was sent under this idempotencyKey")
        case .closed:
            self.init(code: .unavailable, message: "the server is shutting down")
        }
    }

    private init(code: Status.Code, _ reason: StorageError.Reason) {
        self.init(
            code: code,
            message: reason.rawValue,
            metadata: [MessengerMethods.storageErrorKey: .string(reason.kind)]
        )
    }
}
