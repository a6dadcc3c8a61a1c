import NIOCore
import Synchronization

/// The server's connections: bounds their number, and closes them when the server stops.
final class HTTPConnections: Sendable {
    private struct State {
        /// Accepted channels that are open. A connection may have work in progress after its channel has closed.
        var open = 0
        var members: [ObjectIdentifier: NIOLoopBound<HTTPConnection>] = [:]
        var isStopping = false
        /// Listeners that wait for the number of open channels to fall.
        var waiting: [@Sendable () -> Void] = []
        /// The server, once it waits for the last connection.
        var server: CheckedContinuation<Void, Never>?

        mutating func takeServerIfDone() -> CheckedContinuation<Void, Never>? {
            isStopping && members.isEmpty ? server.take() : nil
        }
    }

    private let maximum: Int
    private let reserve: Int
    private let state = Mutex(State())

    init(limits: HTTPLimits) {
        maximum = limits.possibleConnections
        reserve = limits.reservedConnections
    }

    /// Whether no connection is open, and no work is in progress for one.
    var isEmpty: Bool { state.withLock { $0.members.isEmpty } }

    /// Counts a channel, before its event loop gives it a connection.
    func accepted(_ channel: any Channel) {
        state.withLock { $0.open += 1 }
        channel.closeFuture.whenComplete { _ in self.channelClosed() }
    }

    /// Adds a connection. Called on its event loop.
    ///
    /// - Returns: Whether it is over the usual number; `nil` if the server is stopping.
    func add(_ connection: HTTPConnection, _ channel: any Channel) -> Bool? {
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        return state.withLock { state in
            guard !state.isStopping else { return nil }
            state.members[ObjectIdentifier(connection)] = bound
            return state.open > maximum
        }
    }

    /// Removes a connection whose channel has closed and which has no more work in progress.
    func remove(_ connection: HTTPConnection) {
        state.withLock { state in
            state.members[ObjectIdentifier(connection)] = nil
            return state.takeServerIfDone()
        }?.resume()
    }

    /// Takes no more connections, and closes each one after its request in progress; if forced, cancels that.
    func stop(forced: Bool) {
        let (members, server) = state.withLock { state in
            state.isStopping = true
            return (Array(state.members.values), state.takeServerIfDone())
        }
        server?.resume()
        for member in members { member.eventLoop.execute { member.value.stop(forced: forced) } }
    }

    /// Waits until the server has been stopped and the last connection has ended, also if the task is cancelled.
    func waitUntilStopped() async {
        await withCheckedContinuation { continuation in
            state.withLock { state in
                state.server = continuation
                return state.takeServerIfDone()
            }?.resume()
        }
    }

    /// Calls back when a connection may be accepted: at once, or on any thread.
    func whenAvailable(_ action: @escaping @Sendable () -> Void) {
        let isNow = state.withLock { state in
            if state.open < maximum + reserve { return true }
            state.waiting.append(action)
            return false
        }
        if isNow { action() }
    }

    private func channelClosed() {
        let waiting = state.withLock { state in
            state.open -= 1
            return exchange(&state.waiting, with: [])
        }
        for action in waiting { action() }
    }
}

/// Accepts connections only while the server may have one more; others wait in the system's queue.
///
/// Each listener has one: if they accept at the same time, there is one connection more for each.
final class AcceptLimitHandler: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never

    private let connections: HTTPConnections

    init(_ connections: HTTPConnections) {
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connections.accepted(Self.unwrapInboundIn(data))
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        let loop = context.eventLoop
        let bound = NIOLoopBound(context, eventLoop: loop)
        connections.whenAvailable {
            if loop.inEventLoop { bound.value.read() } else { loop.execute { bound.value.read() } }
        }
    }
}
