import Messenger
import Synchronization

/// The messages that have arrived from the room and have not been fetched yet.
///
/// Nothing is dropped and nothing grows without bound: when the budget is used up, ``append(_:)`` waits, and with it
/// the stream from the server. All methods may be called from any thread.
final class Inbox: Sendable {
    /// What the inbox holds, for whoever watches it.
    struct Counters: Sendable, Equatable {
        /// Messages that wait to be fetched.
        var messages: Int
        /// Bytes that the waiting messages use.
        var bytes: Int
        /// All messages that have ever arrived.
        var received: Int
        /// Messages that are out for delivery.
        var leasedMessages = 0
        /// Bytes that these use.
        var leasedBytes = 0
    }

    private struct State {
        var buffer: MessageBuffer
        var received = 0
        /// There while somebody waits for the budget to allow more.
        var vacancy: Gate?

        mutating func append(_ message: Message, beyondBudget bytes: Int = 0) -> Bool {
            guard self.buffer.append(message, beyondBudget: bytes) else { return false }
            self.received += 1
            return true
        }
    }

    private let state: Mutex<State>

    /// Creates an empty inbox.
    ///
    /// - Parameter capacity: The budget for messages that wait or are being delivered, in bytes.
    init(capacity: ByteCount) {
        self.state = Mutex(State(buffer: MessageBuffer(capacity: capacity.bytes)))
    }

    /// Adds a message if the budget allows.
    ///
    /// - Parameter bytes: How far the message may exceed the budget.
    /// - Returns: Whether the message is in the inbox.
    func offer(_ message: Message, beyondBudget bytes: Int = 0) -> Bool {
        self.state.withLock { $0.append(message, beyondBudget: bytes) }
    }

    /// Whether it holds more than the budget: messages of a stream that has ended.
    var isOverBudget: Bool { self.state.withLock { $0.buffer.isOverBudget } }

    /// Adds a message; while the budget is used up, waits until messages have been delivered.
    ///
    /// Meant for one task at a time: of several that wait, any may come first.
    ///
    /// - Throws: `CancellationError` when the task is cancelled while it waits. The message is not in the inbox then.
    func append(_ message: Message) async throws(CancellationError) {
        while let vacancy = self.appendOrVacancy(message) {
            guard await vacancy.wait() else { throw CancellationError() }
        }
    }

    /// Takes messages out, in the order in which they arrived, for delivery: all, unless they use more than `bytes`.
    ///
    /// No message is in two deliveries at once, and none is lost: those of a delivery that is not confirmed come back.
    /// If later ones have been fetched meanwhile, they come after those: the only way to see messages out of order.
    func flush(atMost bytes: Int = .max) -> Delivery {
        Delivery(of: self.state.withLock { $0.buffer.take(atMost: bytes) }, from: self)
    }

    /// What the inbox holds now.
    var counters: Counters {
        self.state.withLock { state in
            Counters(
                messages: state.buffer.messages.count,
                bytes: state.buffer.heldBytes,
                received: state.received,
                leasedMessages: state.buffer.deliveringMessages,
                leasedBytes: state.buffer.deliveringBytes
            )
        }
    }

    /// Ends a delivery; for ``Delivery`` to call, once.
    func end(_ batch: MessageBuffer.Batch, isDelivered: Bool) {
        let vacancy = self.state.withLock { state -> Gate? in
            guard isDelivered else {
                state.buffer.putBack(batch)
                return nil
            }
            state.buffer.settle(batch)
            return state.vacancy.take()
        }
        vacancy?.open()
    }

    /// Adds a message and returns `nil`, or returns what to wait for before the next try.
    private func appendOrVacancy(_ message: Message) -> Gate? {
        self.state.withLock { state in
            if state.append(message) { return nil }
            let vacancy = state.vacancy ?? Gate()
            state.vacancy = vacancy
            return vacancy
        }
    }
}
