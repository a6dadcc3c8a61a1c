import Messenger
import Synchronization

/// The messages that were received from the room and not fetched yet. Thread-safe.
///
/// Nothing is dropped, and memory is bounded: when the budget is used up, ``append(_:)`` waits, and with it the stream
/// from the server.
final class Inbox: Sendable {
    struct Counters: Sendable, Equatable {
        /// Messages that wait to be fetched.
        var messages: Int
        /// Bytes that the waiting messages use.
        var bytes: Int
        /// All messages ever received.
        var received: Int
        /// Messages that are leased.
        var leasedMessages = 0
        /// Bytes that the leased messages use.
        var leasedBytes = 0
    }

    private struct State {
        var buffer: MessageBuffer
        var received = 0
        /// Opens when there is space again; `nil` if nobody waits.
        var spaceAvailable: Latch?

        mutating func append(_ message: Message, beyondBudget bytes: Int = 0) -> Bool {
            guard buffer.append(message, beyondBudget: bytes) else { return false }
            received += 1
            return true
        }
    }

    private let state: Mutex<State>

    /// - Parameter capacity: The budget for waiting and leased messages together.
    init(capacity: ByteCount) {
        state = Mutex(State(buffer: MessageBuffer(capacity: capacity.bytes)))
    }

    /// Adds a message if the budget allows.
    ///
    /// - Parameter bytes: How far the message may exceed the budget.
    /// - Returns: Whether the message was added.
    func offer(_ message: Message, beyondBudget bytes: Int = 0) -> Bool {
        state.withLock { $0.append(message, beyondBudget: bytes) }
    }

    /// Whether several messages use more than the budget. They are from a stream that has ended.
    var isOverBudget: Bool { state.withLock { $0.buffer.isOverBudget } }

    /// Adds a message. While the budget is used up, waits until a lease is acknowledged.
    ///
    /// Meant for one task at a time: if several wait, any of them may be first.
    ///
    /// - Throws: `CancellationError` if the task is cancelled while it waits. The message was not added then.
    func append(_ message: Message) async throws(CancellationError) {
        while let spaceAvailable = appendOrLatch(message) {
            guard await spaceAvailable.wait() else { throw CancellationError() }
        }
    }

    /// Adds a message, or returns what to wait for before the next try.
    private func appendOrLatch(_ message: Message) -> Latch? {
        state.withLock { state in
            if state.append(message) { return nil }
            let spaceAvailable = state.spaceAvailable ?? Latch()
            state.spaceAvailable = spaceAvailable
            return spaceAvailable
        }
    }

    /// Takes out messages, oldest first: all, or those that fit into `maxBytes`.
    ///
    /// No message is in two leases. The messages of a lease that is not acknowledged return. If later messages were
    /// fetched meanwhile, they are out of order: that is the only way.
    func lease(maxBytes: Int = .max) -> Lease {
        Lease(of: state.withLock { $0.buffer.lease(maxBytes: maxBytes) }, from: self)
    }

    var counters: Counters {
        state.withLock { state in
            Counters(
                messages: state.buffer.messages.count,
                bytes: state.buffer.bytes,
                received: state.received,
                leasedMessages: state.buffer.leasedMessages,
                leasedBytes: state.buffer.leasedBytes
            )
        }
    }

    private func acknowledge(_ batch: MessageBuffer.Batch) {
        let spaceAvailable = state.withLock { state in
            state.buffer.acknowledge(batch)
            return state.spaceAvailable.take()
        }
        spaceAvailable?.open()
    }

    private func putBack(_ batch: MessageBuffer.Batch) {
        state.withLock { $0.buffer.putBack(batch) }
    }
}

extension Inbox {
    /// Messages that are being delivered.
    ///
    /// If the lease is released without ``acknowledge()``, they return to the inbox, before all later ones.
    final class Lease: Sendable {
        private let batch: MessageBuffer.Batch
        private let inbox: Inbox
        private let isAcknowledged = Atomic(false)

        fileprivate init(of batch: MessageBuffer.Batch, from inbox: Inbox) {
            self.batch = batch
            self.inbox = inbox
        }

        deinit {
            if !isAcknowledged.load(ordering: .relaxed) { inbox.putBack(batch) }
        }

        /// The messages, oldest first.
        var messages: [Message] { batch.messages }

        /// Whether the inbox had more messages than fitted.
        var hasMore: Bool { batch.hasMore }

        /// What the messages count against the inbox's budget.
        var bytes: Int { batch.bytes }

        /// The messages were delivered. Does nothing the second time.
        func acknowledge() {
            if !isAcknowledged.exchange(true, ordering: .relaxed) { inbox.acknowledge(batch) }
        }
    }
}
