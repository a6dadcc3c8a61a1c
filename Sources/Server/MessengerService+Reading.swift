import LibGRPC
import Messenger
import Synchronization

/// `ReadMessages`.
extension MessengerService {
    private typealias Cursor = Room<ByteBuffer>.Cursor

    /// What a stream that has fallen behind memory reads from storage at once. It holds that much while its client is
    /// stalled.
    private static let pageLimit = HistoryPage.Limit(messages: 64, bytes: 256 << 10)
    /// The time between attempts to read from storage that cannot be reached. It doubles with each attempt.
    private static let retryDelay = (first: Duration.milliseconds(50), max: Duration.seconds(1))

    /// 30 years, in nanoseconds. A much longer age would overflow a time.
    private static let maxReaderAge: UInt64 = 30 * 365 * 86_400 * 1_000_000_000

    var readMessages: ServerMethod {
        if let store = room.store {
            return .serverStreaming(MessengerMethods.readEncodedMessages) { request, writer, context in
                try await read(request, writer, context, store)
            }
        }
        // Without storage a stream never waits, so it needs no task.
        return .serverStreaming(MessengerMethods.readEncodedMessages, subscribingTo: readers) { request, context in
            let (cursor, end) = try begin(request, context)
            cursors?.add(cursor)
            return (initialMetadata(for: cursor), source(of: cursor, until: end))
        }
    }

    /// Most streams have no end and may not begin later. They do not ask at each delivery.
    private func source(of cursor: Cursor, until end: ReadEnd?) -> Broadcast.Source {
        if end == nil, !cursor.mayBeginLater.load(ordering: .relaxed) { return { try next(cursor) } }
        return { try next(cursor, until: end) }
    }

    /// Tells the client that the stream is open, and where it begins.
    private func initialMetadata(for cursor: Cursor) -> Metadata {
        [MessengerMethods.positionKey: .string(cursor.position.description)]
    }

    private func next(_ cursor: Cursor) throws -> ByteBuffer? {
        do throws(RoomError) {
            return try room.next(cursor)
        } catch {
            throw RPCError(error)
        }
    }

    private func next(_ cursor: Cursor, until end: ReadEnd?) throws -> ByteBuffer? {
        do throws(RoomError) {
            return try room.next(cursor, until: end)
        } catch .complete {
            throw Broadcast.End()
        } catch {
            throw RPCError(error)
        }
    }
}

// MARK: - With storage

extension MessengerService {
    private func read(
        _ request: ReadMessagesRequest,
        _ writer: ResponseWriter<ByteBuffer>,
        _ context: ServerContext,
        _ store: any HistoryStore
    ) async throws {
        let (cursor, end) = try await begin(request, context, store)
        cursors?.add(cursor)
        try await context.sendInitialMetadata(initialMetadata(for: cursor))
        while true {
            do {
                return try await writer.subscribe(to: readers) { try room.next(cursor, until: end) }
            } catch RoomError.onlyInStorage {
                try await catchUp(cursor, until: end, writer)
            } catch RoomError.complete {
                return
            } catch let error as RoomError {
                throw RPCError(error)
            }
        }
    }

    /// Reads from storage until the stream can follow memory again. Retries while storage cannot be reached.
    private func catchUp(
        _ cursor: Cursor,
        until end: ReadEnd?,
        _ writer: ResponseWriter<ByteBuffer>
    ) async throws {
        var delay = Self.retryDelay.first
        while true {
            do {
                guard let messages = try await room.catchUp(cursor, until: end, limit: Self.pageLimit) else { return }
                delay = Self.retryDelay.first
                try await writer.write(contentsOf: messages)
                sentFromStorage.add(messages.count)
            } catch RoomError.unavailable(.cannotBeReached) {
                try await Task.sleep(for: delay)
                delay = min(delay * 2, Self.retryDelay.max)
            } catch let error as RoomError {
                throw RPCError(error)
            }
        }
    }
}

// MARK: - Beginning and end of a stream

extension MessengerService {
    private enum Start {
        /// `nil` for the latest message.
        case after(SendTime?)
        case accepted(within: Duration)
        case last(Int)
    }

    private func begin(
        _ request: ReadMessagesRequest,
        _ context: ServerContext
    ) throws(RPCError) -> (Cursor, ReadEnd?) {
        let start = try start(of: request, context)
        do throws(RoomError) {
            return (try cursor(at: start), end(of: request, latest: request.untilNow ? room.latest : nil))
        } catch {
            throw RPCError(error)
        }
    }

    private func begin(
        _ request: ReadMessagesRequest,
        _ context: ServerContext,
        _ store: any HistoryStore
    ) async throws(RPCError) -> (Cursor, ReadEnd?) {
        let start = try start(of: request, context)
        do throws(RoomError) {
            let cursor =
                if case .last(let count) = start {
                    try await room.cursor(last: count, store: store)
                } else {
                    try cursor(at: start)
                }
            return (cursor, end(of: request, latest: request.untilNow ? try await room.latest(store: store) : nil))
        } catch {
            throw RPCError(error)
        }
    }

    private func cursor(at start: Start) throws(RoomError) -> Cursor {
        switch start {
        case .after(let time): try room.cursor(after: time)
        case .accepted(let age): try room.cursor(acceptedWithin: age)
        case .last(let count): try room.cursor(last: count)
        }
    }

    private func start(of request: ReadMessagesRequest, _ context: ServerContext) throws(RPCError) -> Start {
        if request.last > 0 {
            guard request.after == nil else {
                throw RPCError(code: .invalidArgument, message: "set either after or last, not both")
            }
            return .last(Int(request.last))
        }
        if let after = request.after { return .after(after) }
        return try readerAge(context.metadata).map { .accepted(within: $0) } ?? .after(nil)
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

    /// `nil` if the stream goes on until its client leaves.
    /// - Parameter latest: The time of the last message to send, if there is a last one.
    private func end(of request: ReadMessagesRequest, latest: SendTime?) -> ReadEnd? {
        guard latest != nil || request.limit > 0 else { return nil }
        return ReadEnd(time: latest, limit: request.limit > 0 ? Int(request.limit) : nil)
    }
}
