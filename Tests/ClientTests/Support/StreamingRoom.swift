import LibGRPC
import Messenger
import Synchronization

@testable import Client

/// A room that holds messages and streams them, until it is away.
final class StreamingRoom: RemoteRoom {
    private struct State {
        var messages: [Message] = []
        var isAway = false
        var followers: [AsyncStream<Message>.Continuation] = []
        var follows = 0
    }

    let streamOpened = Latch()
    let subscriptionStatus = SubscriptionStatus(stream: .open, gaps: 0)
    private let state = Mutex(State())

    init(isAway: Bool = false) {
        state.withLock { $0.isAway = isAway }
        streamOpened.open()
    }

    /// How many streams are open.
    var followerCount: Int { state.withLock { $0.followers.count } }

    /// How many streams have been asked for.
    var follows: Int { state.withLock { $0.follows } }

    /// The number of the last message.
    var lastNumber: Int {
        state.withLock { state in
            let zero = Message.numbered(0).sendTime.nanosecondsSinceEpoch
            return Int((state.messages.last?.sendTime.nanosecondsSinceEpoch ?? zero) - zero)
        }
    }

    func post(_ numbers: ClosedRange<Int>) {
        state.withLock { state in
            for message in numbers.map({ Message.numbered($0) }) {
                state.messages.append(message)
                for follower in state.followers { follower.yield(message) }
            }
        }
    }

    /// Ends all streams, and refuses others until it is back.
    func leave() {
        let followers = state.withLock { state in
            state.isAway = true
            return exchange(&state.followers, with: [])
        }
        for follower in followers { follower.finish() }
    }

    func comeBack() {
        state.withLock { $0.isAway = false }
    }

    func send(
        _: OutgoingMessage,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation {
        completion(.failure(SendError(code: .unavailable, message: "")))
        return {}
    }

    func read(
        _ request: ReadMessagesRequest,
        requestID: String,
        timeout: Duration
    ) async throws(ReadError) -> Messages {
        let messages = try state.withLock { state throws(ReadError) in
            if state.isAway { throw .unavailable }
            if request.last > 0 { return Array(state.messages.suffix(Int(request.last)).prefix(Int(request.limit))) }
            return Array(
                state.messages.filter { $0.sendTime > request.after ?? .maxClockTime }.prefix(Int(request.limit))
            )
        }
        return FakeMessages(
            AsyncStream { continuation in
                for message in messages { continuation.yield(message) }
                continuation.finish()
            }
        )
    }

    func follow(after position: SendTime?, readerAge: Duration?) async throws(ReadError) -> RoomStream {
        try state.withLock { state throws(ReadError) in
            state.follows += 1
            if state.isAway { throw .unavailable }
            let (stream, continuation) = AsyncStream.makeStream(of: Message.self)
            let start = position ?? state.messages.last?.sendTime ?? Message.numbered(0).sendTime
            for message in state.messages where message.sendTime > start { continuation.yield(message) }
            state.followers.append(continuation)
            return RoomStream(position: start, messages: FakeMessages(stream))
        }
    }
}

/// Messages as a call returns them.
private struct FakeMessages: AsyncSequence, Sendable {
    struct Iterator: AsyncIteratorProtocol {
        var messages: AsyncStream<Message>.Iterator

        mutating func next() async throws(RPCError) -> Message? { await messages.next() }

        mutating func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Message? {
            await messages.next(isolation: actor)
        }
    }

    private let messages: AsyncStream<Message>

    init(_ messages: AsyncStream<Message>) {
        self.messages = messages
    }

    func makeAsyncIterator() -> Iterator { Iterator(messages: messages.makeAsyncIterator()) }
}
