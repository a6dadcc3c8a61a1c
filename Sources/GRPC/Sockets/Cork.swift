internal import Glibc
internal import Synchronization

/// Holds back what is sent on a TCP connection, so that what belongs together leaves in one write.
///
/// The core closes the connection. What is done to its descriptor here is harmless when it has been closed, or even belongs to
/// another connection by now.
final class Cork: Sendable {
    let descriptor: Int32
    /// The last turn of an event loop in which a call of this connection sent something, with bits for how.
    private let lastTurn = Atomic<UInt64>(0)

    /// What is sent in the turn is held back.
    private static let isHeld: UInt64 = 1
    /// More than one thing has been sent in the turn.
    private static let isBusy: UInt64 = 2

    /// Turns have numbers that are multiples of this.
    static let turnStep: UInt64 = 4

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

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
