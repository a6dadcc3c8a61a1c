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
    private let state: Mutex<(sent: [Sent], subscription: SubscriptionStatus)>

    /// Creates a room, whose stream has been open unless it is told otherwise.
    init(
        answer: Result<SendTime, SendError> = .success(SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428)),
        hasBeenOpen: Bool = true,
        subscription: SubscriptionStatus = SubscriptionStatus(stream: .open, gaps: 0)
    ) {
        self.answer = answer
        self.state = Mutex(([], subscription))
        if hasBeenOpen { self.firstOpening.open() }
    }

    func send(author: String, text: String) async throws(SendError) -> SendTime {
        self.state.withLock { $0.sent.append(Sent(author: author, text: text)) }
        return try self.answer.get()
    }

    var sent: [Sent] { self.state.withLock { $0.sent } }

    var subscription: SubscriptionStatus { self.state.withLock { $0.subscription } }
}
