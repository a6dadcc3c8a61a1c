import LibGRPC
import Logging
import Messenger

/// The gRPC methods `SendMessage` and `ReadMessages` of a room.
struct MessengerService: Sendable {
    let room: Room<ByteBuffer>
    let limits: MessageLimits
    /// The open streams. The room notifies them when there is something to read.
    let readers: Broadcast

    /// What a stream that has fallen behind memory reads from storage at once. It holds that much while its client is
    /// stalled.
    private static let pageLimit = HistoryPage.Limit(messages: 64, bytes: 256 << 10)
    /// The time between attempts to read from storage that cannot be reached. It doubles with each attempt.
    private static let retryDelay = (first: Duration.milliseconds(50), max: Duration.seconds(1))

    /// 30 years, in nanoseconds. A much longer age would overflow a time.
    private static let maxReaderAge: UInt64 = 30 * 365 * 86_400 * 1_000_000_000

    var methods: [ServerMethod] {
        // Most clients open no more streams than this on one connection. They then share one queue, which writes their
        // messages together.
        [sendMessage, readMessages.slots(128)]
    }

    // Without storage, calls never wait, so they use the binding's forms without a task.

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
            store.append(message) { result in
                complete(result.map(SendMessageResponse.init(sendTime:)).mapError { RPCError(RoomError($0)) })
            }
        }
    }

    private var readMessages: ServerMethod {
        guard room.store != nil else {
            return .serverStreaming(MessengerMethods.readEncodedMessages, subscribingTo: readers) { request, context in
                let cursor = try cursor(for: request, context)
                return (initialMetadata(for: cursor), { try next(cursor) })
            }
        }
        return .serverStreaming(MessengerMethods.readEncodedMessages) { request, writer, context in
            try await read(request, writer, context)
        }
    }

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

    private func read(
        _ request: ReadMessagesRequest,
        _ writer: ResponseWriter<ByteBuffer>,
        _ context: ServerContext
    ) async throws {
        let cursor = try cursor(for: request, context)
        try await context.sendInitialMetadata(initialMetadata(for: cursor))
        do {
            while true {
                do {
                    try await writer.subscribe(to: readers) { try room.next(cursor) }
                } catch RoomError.onlyInStorage {
                    try await catchUp(cursor, writer)
                }
            }
        } catch let error as RoomError {
            throw RPCError(error)
        }
    }

    /// Reads from storage until the stream can follow memory again. Retries while storage cannot be reached.
    private func catchUp(_ cursor: Room<ByteBuffer>.Cursor, _ writer: ResponseWriter<ByteBuffer>) async throws {
        var delay = Self.retryDelay.first
        while true {
            do {
                guard let messages = try await room.catchUp(cursor, limit: Self.pageLimit) else { return }
                delay = Self.retryDelay.first
                try await writer.write(contentsOf: messages)
            } catch RoomError.unavailable(.cannotBeReached) {
                try await Task.sleep(for: delay)
                delay = min(delay * 2, Self.retryDelay.max)
            }
        }
    }

    private func cursor(
        for request: ReadMessagesRequest,
        _ context: ServerContext
    ) throws(RPCError) -> Room<ByteBuffer>.Cursor {
        let age = request.after == nil ? try readerAge(context.metadata) : nil
        do {
            if let age { return try room.cursor(acceptedWithin: age) }
            return try room.cursor(after: request.after)
        } catch {
            throw RPCError(error)
        }
    }

    /// How long the client has been running, if it says so. A duration, because the client's clock may be wrong.
    private func readerAge(_ metadata: Metadata) throws(RPCError) -> Duration? {
        guard let text = metadata.first(MessengerMethods.readerAgeKey) else { return nil }
        guard let age = UInt64(text) else {
            let message = "\(MessengerMethods.readerAgeKey) must be a number of nanoseconds"
            throw RPCError(code: .invalidArgument, message: message)
        }
        return .nanoseconds(Int64(min(age, Self.maxReaderAge)))
    }

    /// Tells the client that the stream is open, and where it begins.
    private func initialMetadata(for cursor: Room<ByteBuffer>.Cursor) -> Metadata {
        [MessengerMethods.positionKey: .string(cursor.position.description)]
    }

    private func next(_ cursor: Room<ByteBuffer>.Cursor) throws(RPCError) -> (message: ByteBuffer, hasMore: Bool)? {
        do {
            return try room.next(cursor)
        } catch {
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
            self.init(code: .resourceExhausted, reason)
        case .unavailable(let reason):
            self.init(code: .unavailable, reason)
        case .onlyInStorage:
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
