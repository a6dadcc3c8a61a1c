import Messenger

/// Messages in the order of their times, within a budget of bytes: the core of ``Inbox``, without locks or waiting.
///
/// Messages that are out for delivery count against the budget until they are settled, so that slow readers cannot make
/// the process hold more than the budget.
struct MessageBuffer {
    /// Messages taken out together, with what they cost.
    struct Batch: Sendable {
        /// The messages, oldest first.
        let messages: [Message]
        let bytes: Int
        /// Whether there were more than the limit allowed to take.
        var isCutShort = false
    }

    /// The messages held, oldest first.
    private(set) var messages: [Message] = []
    /// The cost of the messages held, in bytes.
    private(set) var heldBytes = 0
    /// The cost of the messages that are out for delivery, in bytes.
    private(set) var deliveringBytes = 0
    /// The number of messages that are out for delivery.
    private(set) var deliveringMessages = 0

    private let capacity: Int

    private var usedBytes: Int { self.heldBytes + self.deliveringBytes }

    /// Whether more than one message is held, and more than the budget allows.
    var isOverBudget: Bool { self.usedBytes > self.capacity && self.messages.count + self.deliveringMessages > 1 }

    /// Creates an empty buffer.
    ///
    /// - Parameter capacity: The budget in bytes.
    init(capacity: Int) {
        self.capacity = capacity
    }

    /// Adds a message at the end, if the budget allows.
    ///
    /// A buffer with nothing in it and nothing out for delivery takes any message: one that is greater than the whole
    /// budget would wait for ever otherwise.
    ///
    /// - Parameter extra: How many bytes beyond the budget may be used.
    /// - Returns: Whether the message was taken.
    mutating func append(_ message: Message, beyondBudget extra: Int = 0) -> Bool {
        let bytes = Self.cost(of: message)
        guard self.usedBytes == 0 || self.usedBytes + bytes <= self.capacity + extra else { return false }
        self.messages.append(message)
        self.heldBytes += bytes
        return true
    }

    /// Takes messages out for delivery, oldest first: all, or as many as cost no more than `limit`. While none is out, it
    /// takes at least one: a message that costs more would wait for ever otherwise.
    mutating func take(atMost limit: Int = .max) -> Batch {
        let batch: Batch
        if self.heldBytes <= limit {
            batch = Batch(messages: self.messages, bytes: self.heldBytes)
            self.messages = []
        } else {
            var count = 0
            var bytes = 0
            for message in self.messages {
                let cost = Self.cost(of: message)
                guard bytes + cost <= limit || (count == 0 && self.deliveringMessages == 0) else { break }
                bytes += cost
                count += 1
            }
            batch = Batch(
                messages: Array(self.messages[..<count]),
                bytes: bytes,
                isCutShort: count < self.messages.count
            )
            self.messages.removeFirst(count)
        }
        self.heldBytes -= batch.bytes
        self.deliveringBytes += batch.bytes
        self.deliveringMessages += batch.messages.count
        return batch
    }

    /// Lets go of a batch that was delivered.
    mutating func settle(_ batch: Batch) {
        self.deliveringBytes -= batch.bytes
        self.deliveringMessages -= batch.messages.count
    }

    /// Takes a batch back that could not be delivered.
    mutating func putBack(_ batch: Batch) {
        self.settle(batch)
        self.heldBytes += batch.bytes
        self.messages.insert(contentsOf: batch.messages, at: 0)
        // Two batches may come back in either order; the times say which was first.
        if let last = batch.messages.last,
            self.messages.dropFirst(batch.messages.count).contains(where: { $0.sendTime < last.sendTime })
        {
            self.messages.sort { $0.sendTime < $1.sendTime }
        }
    }

    /// What a message costs, in bytes: its strings and the memory that holds them.
    static func cost(of message: Message) -> Int {
        message.author.utf8.count + message.text.utf8.count + Self.overhead
    }

    /// The value itself and a heap object for each string.
    private static let overhead = MemoryLayout<Message>.stride + 2 * 32
}
