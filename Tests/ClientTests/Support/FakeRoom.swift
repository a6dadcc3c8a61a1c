import Messenger
import Synchronization

@testable import Client

/// A room with a fixed answer, which records the messages sent to it.
final class FakeRoom: RemoteRoom {
    struct Sent: Equatable {
        var author: String
        var text: String
        var key: IdempotencyKey
    }

    let streamOpened = Latch()
    let subscriptionStatus: SubscriptionStatus
    private let answer: Result<SendTime, SendError>
    private let answersLater: Bool
    private let recorded = Mutex<[Sent]>([])
    private let pending = Mutex<[@Sendable (Result<SendTime, SendError>) -> Void]>([])

    /// - Parameters:
    ///   - hasBeenOpen: Whether the stream has been open.
    ///   - answersLater: Whether sends are answered only by ``answerAll()``.
    init(
        answer: Result<SendTime, SendError> = .success(SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428)),
        hasBeenOpen: Bool = true,
        answersLater: Bool = false,
        subscription: SubscriptionStatus = SubscriptionStatus(stream: .open, gaps: 0)
    ) {
        self.answer = answer
        self.answersLater = answersLater
        subscriptionStatus = subscription
        if hasBeenOpen { streamOpened.open() }
    }

    func send(
        _ message: OutgoingMessage,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation {
        recorded.withLock { $0.append(Sent(author: message.author, text: message.text, key: message.key)) }
        guard answersLater else {
            completion(answer)
            return {}
        }
        pending.withLock { $0.append(completion) }
        return { self.answerAll() }
    }

    func read(
        _: ReadMessagesRequest,
        requestID: String,
        timeout: Duration
    ) async throws(ReadError) -> Messages { throw .unavailable }

    func follow(after: SendTime?, readerAge: Duration?) async throws(ReadError) -> RoomStream { throw .unavailable }

    func answerAll() {
        for completion in pending.withLock({ exchange(&$0, with: []) }) { completion(answer) }
    }

    var sent: [Sent] { recorded.withLock { $0 } }
    var texts: [String] { sent.map { "\($0.author): \($0.text)" } }
}

extension Message {
    /// A message whose time grows with `number`.
    static func numbered(_ number: Int, author: String = "Ivan", text: String = "hey") -> Message {
        Message(
            author: author,
            text: text,
            sendTime: SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428 + Int64(number))
        )
    }
}

/// Lets other tasks run until the condition is true. The test's time limit bounds it.
func waitUntil(_ condition: () -> Bool) async throws {
    while !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
