import Messenger
import Synchronization

/// Messages on their way to whoever fetched them.
///
/// It is ended by ``confirm()``, or by letting go of it: then the messages go back into the inbox, before all later
/// ones.
final class Delivery: Sendable {
    private let batch: MessageBuffer.Batch
    private let inbox: Inbox
    private let isConfirmed = Atomic(false)

    /// Creates a delivery of messages that were taken out of `inbox`.
    init(of batch: MessageBuffer.Batch, from inbox: Inbox) {
        self.batch = batch
        self.inbox = inbox
    }

    deinit {
        if !self.isConfirmed.load(ordering: .relaxed) {
            self.inbox.end(self.batch, isDelivered: false)
        }
    }

    /// The messages, oldest first.
    var messages: [Message] { self.batch.messages }

    /// Whether there were more than could be taken at once.
    var isCutShort: Bool { self.batch.isCutShort }

    /// What they count against the inbox's budget, in bytes.
    var bytes: Int { self.batch.bytes }

    /// Says that the messages have been handed over; does nothing the second time.
    func confirm() {
        if !self.isConfirmed.exchange(true, ordering: .relaxed) {
            self.inbox.end(self.batch, isDelivered: true)
        }
    }
}
