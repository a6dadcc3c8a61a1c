internal import CGRPC

/// Ends connections that keep a queue's thread inside the core.
///
/// The core parses all that a peer sends before it announces any of the calls. A peer that never stops sending would
/// therefore pass every limit.
struct FloodGuard {
    private let queues: [CompletionQueue]
    /// For each queue the poll its thread is in, with the thread's CPU time when that began to grow, and at the last
    /// look.
    private var seen: [(number: UInt, first: UInt64, last: UInt64)?]

    static let interval = Duration.milliseconds(20)
    /// CPU time in ms that one poll may use. A burst of 1,000 calls with 4 KB of metadata each can use more than 15.
    private static let limit: UInt64 = 60

    init(queues: [CompletionQueue]) {
        self.queues = queues
        seen = queues.map { _ in nil }
    }

    /// Call it every ``interval``.
    mutating func look(at acceptor: Acceptor) {
        var isStuck = false
        for (index, queue) in queues.enumerated() {
            guard let poll = queue.poll else {
                seen[index] = nil
                continue
            }
            // A thread that waits in its poll uses almost no CPU time.
            if let before = seen[index], before.number == poll.number, poll.milliseconds > before.last + 1 {
                seen[index] = (poll.number, before.first, poll.milliseconds)
                if poll.milliseconds >= before.first + Self.limit { isStuck = true }
            } else {
                seen[index] = (poll.number, poll.milliseconds, poll.milliseconds)
            }
        }
        if isStuck { acceptor.endFloods() }
    }
}

extension Acceptor {
    /// More than a client may send before HTTP/2's flow control stops it, headers aside.
    private static let unreadBytes: Int32 = 96 << 10

    /// Ends the connections with much unread input.
    fileprivate func endFloods() {
        for connection in all where cgrpc_unread_bytes(connection.socket.descriptor) > Self.unreadBytes {
            guard connection.socket.isOpen else { continue }
            connection.socket.disconnect()
            // Otherwise the core continues to read.
            cgrpc_drop_unread_bytes(connection.socket.descriptor)
        }
    }
}
