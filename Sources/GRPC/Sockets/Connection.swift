internal import Glibc
internal import Synchronization

/// A connection that an ``Acceptor`` has handed to the core, which closes it.
final class Connection: Sendable {
    let socket: CoreSocket
    /// Where it comes from, in the core's form.
    let peer: String
    /// The peer's port, if the core names the connection by its peer's address: see ``isNamed(_:)``.
    let namedByPort: UInt16?

    /// There is none for a socket with a path.
    let cork: Cork?

    private let callCount = Atomic<Int>(0)

    /// - Parameter isNamedByPeer: Whether the core does that.
    init(descriptor: Int32, peer: SocketAddress, isNamedByPeer: Bool) {
        socket = CoreSocket(descriptor: descriptor)
        namedByPort = isNamedByPeer && peer.family != AF_UNIX ? peer.port : nil
        self.peer = peer.description
        cork = peer.family == AF_UNIX ? nil : Cork(descriptor: descriptor)
    }
}

extension Connection {
    /// Whether this is the core's name for it: ``peer``, but for the brackets of version 6.
    func isNamed(_ name: UnsafePointer<CChar>) -> Bool {
        strcmp(peer.replacing("[", with: "%5B").replacing("]", with: "%5D"), name) == 0
    }
}

// MARK: - Calls

extension Connection {
    /// Whether there are calls now: its TLS handshake is over, then.
    var hasCalls: Bool { callCount.load(ordering: .relaxed) > 0 }

    /// A call has arrived; ``callEnded()`` must follow. `false` if there are more than `limit`: the peer makes or resets
    /// calls faster than they can be cleared away. The connection ends then.
    func callBegan(limit: Int) -> Bool {
        let count = callCount.add(1, ordering: .relaxed).newValue
        // Once: many more may have come already.
        if count - 1 == limit { socket.disconnect() }
        return count <= limit
    }

    func callEnded() {
        callCount.subtract(1, ordering: .relaxed)
    }
}
