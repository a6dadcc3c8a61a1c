internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A connection that an ``Acceptor`` has handed to the core, which closes it.
final class Connection: Sendable {
    let socket: CoreSocket
    /// Where it comes from, in the core's form.
    let peer: String

    /// There is none for a socket with a path.
    let cork: Cork?

    private let callCount = Atomic<Int>(0)

    init(descriptor: Int32, peer: SocketAddress) {
        socket = CoreSocket(descriptor: descriptor)
        self.peer = peer.description
        cork = peer.family == AF_UNIX ? nil : Cork(descriptor: descriptor)
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
