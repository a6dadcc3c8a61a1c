internal import CGRPC
internal import Synchronization

/// The sockets of a channel's connections, as far as can be known. Calls are on the one that was made last.
///
/// The core makes a socket for each attempt to connect, one after the other, and makes none while there is a connection that
/// takes calls.
final class ChannelSocket: Sendable {
    private struct State {
        var cork: Cork?
        /// Those that may be open: one on which the server takes no more calls goes on beside its successor.
        var sockets: [CoreSocket] = []
        /// How many have been made.
        var count = 0
    }

    private let state = Mutex(State())

    /// What holds back what is sent on it; `nil` before the first attempt to connect.
    var cork: Cork? { state.withLock { $0.cork } }

    /// How many attempts to connect there have been.
    var count: Int { state.withLock(\.count) }

    /// Ends the channel's connections.
    func disconnect() {
        for socket in state.withLock(\.sockets) { socket.disconnect() }
    }

    /// The core's hook for the sockets of one channel, which tells this object of them. The caller has a reference to it.
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
