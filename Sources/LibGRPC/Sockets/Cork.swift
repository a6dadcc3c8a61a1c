internal import CGRPC
internal import Glibc
internal import Synchronization

/// Holds back what is sent on a TCP connection (`TCP_CORK`), so that messages of one turn leave in one write.
///
/// The core closes the connection. Corking its descriptor is harmless even if it is closed or belongs to another
/// connection by then.
final class Cork: Sendable {
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
    func gather(in turn: UInt64) -> Bool {
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

/// The socket of a connection. The core closes it without reporting that.
struct CoreSocket: Sendable {
    let descriptor: Int32
    /// Distinguishes the socket from a later one with the same descriptor.
    private let inode: UInt64

    init(descriptor: Int32) {
        self.descriptor = descriptor
        inode = Self.inode(of: descriptor)
    }

    /// Whether the core has not closed the socket yet.
    var isOpen: Bool { Self.inode(of: descriptor) == inode }

    /// Ends the connection in both directions: the core's reads and writes fail from now on.
    func disconnect() {
        // After it was closed, the descriptor may belong to another connection.
        if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private static func inode(of descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}

/// The sockets of a channel's connections. Calls use the newest one.
///
/// The core makes a socket for each attempt to connect, one after the other, and none while a connection accepts
/// calls.
final class ChannelSocket: Sendable {
    private struct State {
        var cork: Cork?
        /// Sockets that may be open. One whose server accepts no more calls stays open beside its successor.
        var sockets: [CoreSocket] = []
        var count = 0
    }

    private let state = Mutex(State())

    /// The cork of the newest socket; `nil` before the first attempt to connect.
    var cork: Cork? { state.withLock { $0.cork } }

    /// How many attempts to connect there have been.
    var count: Int { state.withLock(\.count) }

    /// Closes the channel's connections.
    func disconnect() {
        for socket in state.withLock(\.sockets) { socket.disconnect() }
    }

    /// The core's hook that reports each new socket of the channel to this object. The caller owns one reference.
    func makeWatch() -> UnsafeMutablePointer<cgrpc_socket_watch>? {
        cgrpc_socket_watch_create(Unmanaged.passRetained(self).toOpaque(), Self.made, Self.release)
    }

    private static let made: @convention(c) (UnsafeMutableRawPointer?, CInt) -> Void = { target, descriptor in
        guard let target else { return }
        Unmanaged<ChannelSocket>.fromOpaque(target)._withUnsafeGuaranteedRef { socket in
            socket.state.withLock { state in
                state.count += 1
                state.cork = Cork(descriptor: descriptor)
                state.sockets.removeAll { !$0.isOpen }
                state.sockets.append(CoreSocket(descriptor: descriptor))
            }
        }
    }

    private static let release: @convention(c) (UnsafeMutableRawPointer?) -> Void = { target in
        guard let target else { return }
        Unmanaged<ChannelSocket>.fromOpaque(target).release()
    }
}
