internal import CGRPC
internal import Synchronization

/// The socket of a channel's connection, as far as can be known: the one that was made last.
///
/// The core makes a socket for each attempt to connect, one after the other, and makes none while a connection is there.
final class ChannelSocket: Sendable {
    private let current = Mutex<(socket: CoreSocket, cork: Cork)?>(nil)

    /// What holds back what is sent on it; `nil` before the first attempt to connect.
    var cork: Cork? { current.withLock { $0?.cork } }

    /// Ends the connection, if there is one.
    func disconnect() { current.withLock { $0?.socket }?.disconnect() }

    /// The core's hook for the sockets of one channel, which tells this object of them. The caller has a reference to it.
    func makeWatch() -> UnsafeMutablePointer<cgrpc_socket_watch>? {
        cgrpc_socket_watch_create(Unmanaged.passRetained(self).toOpaque(), Self.made, Self.release)
    }

    private static let made: @convention(c) (UnsafeMutableRawPointer?, CInt) -> Void = { target, descriptor in
        guard let target else { return }
        Unmanaged<ChannelSocket>.fromOpaque(target)._withUnsafeGuaranteedRef { socket in
            socket.current.withLock { $0 = (CoreSocket(descriptor: descriptor), Cork(descriptor: descriptor)) }
        }
    }

    private static let release: @convention(c) (UnsafeMutableRawPointer?) -> Void = { target in
        guard let target else { return }
        Unmanaged<ChannelSocket>.fromOpaque(target).release()
    }
}
