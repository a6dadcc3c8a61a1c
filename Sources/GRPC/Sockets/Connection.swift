internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A connection that an ``Acceptor`` has handed to the core, which closes it.
final class Connection: Sendable {
    let descriptor: Int32
    /// Where it comes from, in the core's form.
    let peer: String

    /// There is none for a socket with a path.
    let cork: Cork?

    private let callCount = Atomic<Int>(0)
    /// Tells the file from another one that has the same descriptor later.
    private let inode: UInt64

    init(descriptor: Int32, peer: SocketAddress) {
        self.descriptor = descriptor
        self.peer = peer.description
        cork = peer.family == AF_UNIX ? nil : Cork(descriptor: descriptor)
        inode = Self.inode(of: descriptor)
    }

    /// Whether the core has not closed it yet.
    var isOpen: Bool { Self.inode(of: descriptor) == inode }

    /// Ends it in both directions, unless it has been closed: reads and writes of the core fail from now on.
    func disconnect() {
        // When it has been closed, the descriptor may belong to another one.
        if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private static func inode(of descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}

// MARK: - Calls

extension Connection {
    /// A call has arrived; ``callEnded()`` must follow. `false` if there are more than `limit`: the peer resets calls faster
    /// than they can be cleared away.
    func callBegan(limit: Int) -> Bool {
        callCount.add(1, ordering: .relaxed).newValue <= limit
    }

    func callEnded() {
        callCount.subtract(1, ordering: .relaxed)
    }
}
