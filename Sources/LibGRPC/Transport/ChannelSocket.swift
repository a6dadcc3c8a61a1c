internal import CGRPC
internal import Synchronization

/// The sockets of a channel's connections. Calls use the newest one.
///
/// The core makes a socket for each attempt to connect, one after the other, and none while a connection accepts
/// calls.
final class ChannelSocket: Sendable {
    private struct State {
        var coalescer: WriteCoalescer?
        /// Sockets that may be open. One whose server accepts no more calls stays open beside its successor.
        var sockets: [CoreSocket] = []
        var count = 0
    }

    private let state = Mutex(State())

    /// The coalescer of the newest socket; `nil` before the first attempt to connect.
    var coalescer: WriteCoalescer? { state.withLock { $0.coalescer } }

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
                state.coalescer = WriteCoalescer(descriptor: descriptor)
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
