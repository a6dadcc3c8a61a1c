internal import Glibc
internal import Synchronization

/// Holds back what is sent on a TCP connection (`TCP_CORK`), so that messages of one turn leave in one write.
///
/// The core closes the connection. Corking its descriptor is harmless even if it is closed or belongs to another
/// connection by then.
final class WriteCoalescer: Sendable {
    let descriptor: Int32
    /// The last turn of an event loop in which this connection sent something, with the two bits below.
    private let lastTurn = Atomic<UInt64>(0)

    /// The socket is corked in this turn.
    private static let isHeld: UInt64 = 1
    /// The turn has had more than one send.
    private static let isBusy: UInt64 = 2

    /// The numbers of turns are multiples of this.
    static let turnStep: UInt64 = 4

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Call it before each send. Corks the socket at the second send of a turn, until ``release()``.
    ///
    /// Send the first write immediately: usually it is the only one. If the last turn had several, hold it back too.
    ///
    /// - Parameter turn: The turn's number, unique over all loops; a multiple of ``turnStep``.
    /// - Returns: Whether ``release()`` must follow at the end of the turn.
    func willSend(inTurn turn: UInt64) -> Bool {
        // If two loops send on one connection at the same time, each loses count of its turn, and less is held back.
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

    /// Sends what was held back.
    func release() {
        setSocketOption(descriptor, Int32(IPPROTO_TCP), TCP_CORK, 0)
    }
}
