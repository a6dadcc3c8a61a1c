import Messenger

/// Messages in the order of their times, within a budget of bytes: the state of ``Inbox``.
///
/// Leased messages count against the budget until they are acknowledged, so that slow readers cannot make the process
/// hold more.
struct MessageBuffer {
    /// Messages that were leased together.
    struct Batch: Sendable {
        /// The messages, oldest first.
        let messages: [Message]
        let bytes: Int
        /// Whether there were more messages than fitted.
        var hasMore = false
    }

    /// The messages that can be leased, oldest first.
    private(set) var messages: [Message] = []
    /// The cost of ``messages``.
    private(set) var bytes = 0
    private(set) var leasedMessages = 0
    private(set) var leasedBytes = 0

    private let capacity: Int

    private var usedBytes: Int { bytes + leasedBytes }

    /// Whether there are several messages, and they use more than the budget.
    var isOverBudget: Bool { usedBytes > capacity && messages.count + leasedMessages > 1 }

    /// - Parameter capacity: The budget in bytes.
    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Adds a message at the end, if the budget allows.
    ///
    /// An empty buffer accepts any message: one that is larger than the whole budget would wait forever otherwise.
    ///
    /// - Parameter excess: How many bytes beyond the budget may be used.
    /// - Returns: Whether the message was added.
    mutating func append(_ message: Message, beyondBudget excess: Int = 0) -> Bool {
        let cost = Self.cost(of: message)
        guard usedBytes == 0 || usedBytes + cost <= capacity + excess else { return false }
        messages.append(message)
        bytes += cost
        return true
    }

    /// Takes out messages, oldest first: all, or those that fit into `maxBytes`.
    ///
    /// If nothing is leased, it takes at least one: a message that is larger would wait forever otherwise.
    mutating func lease(maxBytes: Int = .max) -> Batch {
        let batch: Batch
        if bytes <= maxBytes {
            batch = Batch(messages: messages, bytes: bytes)
            messages = []
        } else {
            var count = 0
            var batchBytes = 0
            for message in messages {
                let cost = Self.cost(of: message)
                guard batchBytes + cost <= maxBytes || (count == 0 && leasedMessages == 0) else { break }
                batchBytes += cost
                count += 1
            }
            batch = Batch(messages: Array(messages[..<count]), bytes: batchBytes, hasMore: count < messages.count)
            messages.removeFirst(count)
        }
        bytes -= batch.bytes
        leasedBytes += batch.bytes
        leasedMessages += batch.messages.count
        return batch
    }

    /// Ends the lease of a batch that was delivered.
    mutating func acknowledge(_ batch: Batch) {
        leasedBytes -= batch.bytes
        leasedMessages -= batch.messages.count
    }

    /// Ends the lease of a batch that was not delivered: its messages are back at their places.
    mutating func putBack(_ batch: Batch) {
        acknowledge(batch)
        bytes += batch.bytes
        messages.insert(contentsOf: batch.messages, at: 0)
        // Batches may come back in any order.
        if let last = batch.messages.last,
            messages.dropFirst(batch.messages.count).contains(where: { $0.sendTime < last.sendTime })
        {
            messages.sort { $0.sendTime < $1.sendTime }
        }
    }

    /// What a message costs, in bytes: its strings and the memory that holds them.
    static func cost(of message: Message) -> Int {
        message.author.utf8.count + message.text.utf8.count + overhead
    }

    /// The value itself and a heap object for each string.
    private static let overhead = MemoryLayout<Message>.stride + 2 * 32
}
