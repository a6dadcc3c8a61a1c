internal import CGRPC

/// Ends connections that keep a queue's thread inside the core: it makes calls of all that a peer sends, as long as there is
/// more, and announces none of them before. So no limit would see them.
struct FloodGuard {
    private let queues: [CompletionQueue]
    /// The poll that each queue's thread was in, and the thread's processor time: when that began to grow, and last.
    private var seen: [(number: UInt, first: UInt64, last: UInt64)?]

    static let interval = Duration.milliseconds(20)
    /// A poll that uses so many milliseconds of the processor is no common one: messages are parsed a hundred times faster.
    private static let patience: UInt64 = 15

    init(queues: [CompletionQueue]) {
        self.queues = queues
        seen = queues.map { _ in nil }
    }

    /// Looks at the queues. Called every ``interval``.
    mutating func look(at acceptor: Acceptor) {
        var isStuck = false
        for (index, queue) in queues.enumerated() {
            guard let poll = queue.poll else {
                seen[index] = nil
                continue
            }
            // A thread that waits in its poll uses next to nothing.
            if let before = seen[index], before.number == poll.number, poll.milliseconds > before.last + 1 {
                seen[index] = (poll.number, before.first, poll.milliseconds)
                if poll.milliseconds >= before.first + Self.patience { isStuck = true }
            } else {
                seen[index] = (poll.number, poll.milliseconds, poll.milliseconds)
            }
        }
        if isStuck { acceptor.endFloods() }
    }
}

extension Acceptor {
    /// More than HTTP/2 lets a client send before it is asked for more, but for headers.
    private static let unreadBytes: Int32 = 96 << 10

    /// Ends the connections of which much has come that nobody has read.
    fileprivate func endFloods() {
        for connection in all where cgrpc_unread_bytes(connection.socket.descriptor) > Self.unreadBytes {
            guard connection.socket.isOpen else { continue }
            connection.socket.disconnect()
            // The core would go on reading.
            cgrpc_drop_unread_bytes(connection.socket.descriptor)
        }
    }
}
