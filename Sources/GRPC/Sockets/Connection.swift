internal import Synchronization

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A TCP connection that an ``Acceptor`` has handed to the core, which closes it.
///
/// What is done to `descriptor` here is harmless when it has been closed, or even belongs to another connection by now.
final class Connection: Sendable {
    let descriptor: Int32
    /// Where it comes from, in the core's form.
    let peer: String

    private let callCount = Atomic<Int>(0)
    /// The last turn of an event loop in which a call of this connection sent something, with bits for how.
    private let lastTurn = Atomic<UInt64>(0)
    /// Tells the file from another one that has the same descriptor later.
    private let inode: UInt64

    init(descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        inode = Self.inode(of: descriptor)
    }

    /// Whether the core has not closed it yet.
    var isOpen: Bool { Self.inode(of: descriptor) == inode }

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

// MARK: - One write per turn

extension Connection {
    /// What is sent in the turn is held back.
    private static let isHeld: UInt64 = 1
    /// More than one thing has been sent in the turn.
    private static let isBusy: UInt64 = 2

    /// Turns have numbers that are multiples of this.
    static let turnStep: UInt64 = 4

    /// A call is about to send something. From the second time in one turn of an event loop on, what is sent is held back
    /// until ``release()``, to leave in one piece. The first goes at once, as most often it is all there is; but not where
    /// it was not all in the turn before.
    ///
    /// - Parameter turn: A number that no other turn has, on any loop; a multiple of ``turnStep``.
    /// - Returns: Whether ``release()`` must follow at the end of the turn.
    func gather(in turn: UInt64) -> Bool {
        // Two loops that send on one connection at the same time lose count of each other's turns: then less is held back.
        let last = lastTurn.load(ordering: .relaxed)
        let isFirst = last & ~(Self.isHeld | Self.isBusy) != turn
        let wasBusy = last & Self.isBusy != 0
        if !isFirst, wasBusy { return false }
        let isAlreadyHeld = !isFirst && last & Self.isHeld != 0
        let isHeld = !isFirst || wasBusy
        lastTurn.store(turn | (isHeld ? Self.isHeld : 0) | (isFirst ? 0 : Self.isBusy), ordering: .relaxed)
        guard isHeld, !isAlreadyHeld else { return false }
        setSocketOption(descriptor, Int32(IPPROTO_TCP), TCP_CORK, 1)
        return true
    }

    /// Sends what has been held back.
    func release() {
        setSocketOption(descriptor, Int32(IPPROTO_TCP), TCP_CORK, 0)
    }
}
