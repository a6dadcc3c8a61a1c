import Messenger
import Synchronization

@testable import Client

/// A room that answers what it is told to, and remembers what was sent.
final class FakeRoom: RemoteRoom {
    struct Sent: Equatable {
        var author: String
        var text: String
    }

    let firstOpening = Gate()
    private let answer: Result<SendTime, SendError>
    private let answersLater: Bool
    private let state: Mutex<(sent: [Sent], subscription: SubscriptionStatus)>
    private let unanswered = Mutex<[@Sendable (Result<SendTime, SendError>) -> Void]>([])

    /// Creates a room, whose stream has been open unless it is told otherwise.
    ///
    /// - Parameter answersLater: Whether it answers when it is told to, with ``answerAll()``.
    init(
        answer: Result<SendTime, SendError> = .success(SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428)),
        hasBeenOpen: Bool = true,
        answersLater: Bool = false,
        subscription: SubscriptionStatus = SubscriptionStatus(stream: .open, gaps: 0)
    ) {
        self.answer = answer
        self.answersLater = answersLater
        self.state = Mutex(([], subscription))
        if hasBeenOpen { self.firstOpening.open() }
    }

    func send(
        author: String,
        text: String,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation {
        self.state.withLock { $0.sent.append(Sent(author: author, text: text)) }
        guard self.answersLater else {
            completion(self.answer)
            return {}
        }
        self.unanswered.withLock { $0.append(completion) }
        return { self.answerAll() }
    }

    func answerAll() {
        for completion in self.unanswered.withLock({ exchange(&$0, with: []) }) { completion(self.answer) }
    }

    var sent: [Sent] { self.state.withLock { $0.sent } }

    var subscription: SubscriptionStatus { self.state.withLock { $0.subscription } }
}
