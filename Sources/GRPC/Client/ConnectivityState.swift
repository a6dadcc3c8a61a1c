internal import CGRPC

/// How a channel's connection is doing.
public enum ConnectivityState: Sendable, Hashable {
    /// There is none, and nobody wants one.
    case idle
    /// It is being made.
    case connecting
    /// Calls can begin.
    case ready
    /// It could not be made, or broke; there will be another attempt.
    case transientFailure
    /// The channel makes no more.
    case shutdown
}

extension Channel {
    /// How the connection is doing now. Nothing is sent to find out: of a peer that is frozen, only keepalive tells.
    ///
    /// - Parameter connecting: Whether one is to be made if there is none and nobody wants one.
    public func connectivityState(connecting: Bool = false) -> ConnectivityState {
        ConnectivityState(grpc_channel_check_connectivity_state(handle, connecting ? 1 : 0))
    }

    /// How many times a connection has been tried so far. A call is on one connection all its life: while this number is the same
    /// and the state is ``ConnectivityState/ready``, it is on the connection that there is.
    public var connectionCount: Int { socket.count }
}

extension ConnectivityState {
    fileprivate init(_ state: grpc_connectivity_state) {
        self =
            switch state {
            case GRPC_CHANNEL_CONNECTING: .connecting
            case GRPC_CHANNEL_READY: .ready
            case GRPC_CHANNEL_TRANSIENT_FAILURE: .transientFailure
            case GRPC_CHANNEL_SHUTDOWN: .shutdown
            default: .idle
            }
    }
}
