internal import CGRPC

/// The state of a channel's connection.
public enum ConnectivityState: Sendable, Hashable {
    /// There is no connection, and no call needs one.
    case idle
    /// The channel is connecting.
    case connecting
    /// Calls can begin.
    case ready
    /// Connecting failed, or the connection broke. The channel will try again.
    case transientFailure
    /// The channel has ended.
    case shutdown
}

extension Channel {
    /// The state of the connection. This sends nothing: only ``Keepalive`` detects a frozen peer.
    ///
    /// - Parameter connecting: Whether to connect if the state is ``ConnectivityState/idle``.
    public func connectivityState(connecting: Bool = false) -> ConnectivityState {
        ConnectivityState(grpc_channel_check_connectivity_state(handle, connecting ? 1 : 0))
    }

    /// The state of the connection now, and then each change of it.
    ///
    /// - Parameter connecting: Whether to connect whenever the state is ``ConnectivityState/idle``.
    public func connectivityStates(connecting: Bool = false) -> ConnectivityStates {
        ConnectivityStates(channel: self, connecting: connecting)
    }

    /// The number of attempts to connect so far. A call stays on one connection for its life. So it is on the current
    /// connection if this number has not changed and the state is ``ConnectivityState/ready``.
    /// Always 0 with a version of the core that this library does not know.
    public var connectionCount: Int { socket.count }
}

/// The states of a channel: an asynchronous sequence that any number of readers can read, each from the current state.
///
/// It ends when the channel or its ``CompletionQueueGroup`` ends, up to 0.2 s later, and when the reading task is
/// cancelled. It does not keep the channel alive. A state that lasts only an instant may be left out. Thread-safe.
///
/// ```swift
/// for await state in channel.connectivityStates(connecting: true) where state == .ready { break }
/// ```
public struct ConnectivityStates: AsyncSequence, Sendable {
    private weak var channel: Channel?
    private let connecting: Bool

    init(channel: Channel, connecting: Bool) {
        self.channel = channel
        self.connecting = connecting
    }

    /// An iterator that begins with the current state.
    public func makeAsyncIterator() -> Iterator {
        Iterator(channel: channel, connecting: connecting)
    }

    /// Waits for one state after the other.
    public struct Iterator: AsyncIteratorProtocol {
        private weak var channel: Channel?
        private let connecting: Bool
        private var last: ConnectivityState?

        init(channel: Channel?, connecting: Bool) {
            self.channel = channel
            self.connecting = connecting
        }

        /// The next state; `nil` at the end.
        public mutating func next() async -> ConnectivityState? {
            while !Task.isCancelled {
                guard let state = channel?.connectivityState(connecting: connecting) else { return nil }
                if state != last {
                    last = state
                    return state
                }
                guard let watch = channel.flatMap({ StateWatch($0, last: state) }) else { return nil }
                await watch.wait()
            }
            return nil
        }
    }
}

/// One wait of the core for a channel's state to change.
private final class StateWatch: EventTarget {
    private let queue: CompletionQueue
    private let tag: UnsafeMutablePointer<cgrpc_tag>
    private let (ended, end) = AsyncStream<Never>.makeStream()

    /// The core cannot cancel a wait, and a group that is shut down waits for its end. grpcio uses the same time.
    private static let limit = Duration.milliseconds(200)

    /// Starts to wait. `nil` if the group has been shut down.
    init?(_ channel: Channel, last: ConnectivityState) {
        queue = channel.group.next()
        tag = .allocate(capacity: 1)
        super.init()
        let started: Void? = queue.whileOpen {
            Tag(initializing: tag, operation: 0).retain(self)
            let deadline = Deadline.after(Self.limit)
            grpc_channel_watch_connectivity_state(channel.handle, last.coreValue, deadline, queue.handle, tag)
        }
        if started == nil { return nil }
    }

    deinit {
        tag.deallocate()
    }

    override var eventQueue: CompletionQueue { queue }

    override func operationCompleted(_: UInt32, succeeded: Bool) {
        end.finish()
    }

    /// Returns when the state has changed, after ``limit``, or when the task is cancelled.
    func wait() async {
        for await _ in ended {}
    }
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

    fileprivate var coreValue: grpc_connectivity_state {
        switch self {
        case .idle: GRPC_CHANNEL_IDLE
        case .connecting: GRPC_CHANNEL_CONNECTING
        case .ready: GRPC_CHANNEL_READY
        case .transientFailure: GRPC_CHANNEL_TRANSIENT_FAILURE
        case .shutdown: GRPC_CHANNEL_SHUTDOWN
        }
    }
}
