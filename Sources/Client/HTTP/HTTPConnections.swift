import NIOCore
import Synchronization

/// The server's connections: bounds their number, and ends them in order.
final class HTTPConnections: Sendable {
    enum Place { case usual, reserve }

    private struct Member {
        let channel: any Channel
        /// `nil` until it has been set up.
        var handler: NIOLoopBound<HTTPHandler>?
    }

    private struct State {
        var members: [ObjectIdentifier: Member] = [:]
        /// Those whose channel is open. A member may have a message under way after that.
        var open = 0
        var isStopping = false
        /// Listeners that wait for a place.
        var waiting: [@Sendable () -> Void] = []
    }

    /// Opens when the server is stopping and all have ended.
    let over = Gate()
    private let maximum: Int
    private let reserve: Int
    private let state = Mutex(State())

    init(maximum: Int, reserve: Int) {
        self.maximum = maximum
        self.reserve = reserve
    }

    /// Takes a connection in, if there is a place for it.
    func join(_ channel: any Channel) -> Place? {
        let place = self.state.withLock { state -> Place? in
            guard !state.isStopping, state.open < self.maximum + self.reserve else { return nil }
            state.open += 1
            state.members[ObjectIdentifier(channel)] = Member(channel: channel)
            return state.open > self.maximum ? .reserve : .usual
        }
        if place != nil { channel.closeFuture.whenComplete { _ in self.hasClosed() } }
        return place
    }

    /// Remembers who answers a connection's requests. Called on its event loop.
    func began(_ channel: any Channel, _ handler: HTTPHandler) {
        let handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        self.state.withLock { $0.members[ObjectIdentifier(channel)]?.handler = handler }
    }

    /// A connection has ended, and all that was started for it.
    func leave(_ id: ObjectIdentifier) {
        let isLast = self.state.withLock { state in
            state.members[id] = nil
            return state.isStopping && state.members.isEmpty
        }
        if isLast { self.over.open() }
    }

    /// Ends connections as soon as what they are at is over.
    func quiesce() {
        for member in self.stop() {
            member.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    /// Ends connections, and gives up what they are at.
    func cancel() {
        for member in self.stop() {
            member.channel.eventLoop.execute {
                if let handler = member.handler { handler.value.cancel() } else { member.channel.close(promise: nil) }
            }
        }
    }

    private func stop() -> [Member] {
        let members = self.state.withLock { state in
            state.isStopping = true
            return Array(state.members.values)
        }
        if members.isEmpty { self.over.open() }
        return members
    }

    /// Calls back when there is a place: at once, or on any thread.
    func whenPlace(_ action: @escaping @Sendable () -> Void) {
        let isNow = self.state.withLock { state in
            if state.open < self.maximum + self.reserve { return true }
            state.waiting.append(action)
            return false
        }
        if isNow { action() }
    }

    private func hasClosed() {
        let waiting = self.state.withLock { state in
            state.open -= 1
            return exchange(&state.waiting, with: [])
        }
        for action in waiting { action() }
    }
}

/// Accepts connections only while there is a place for one; others wait in the system's queue.
final class AcceptLimit: ChannelOutboundHandler {
    typealias OutboundIn = Never

    private let connections: HTTPConnections

    init(_ connections: HTTPConnections) {
        self.connections = connections
    }

    func read(context: ChannelHandlerContext) {
        let loop = context.eventLoop
        let bound = NIOLoopBound(context, eventLoop: loop)
        self.connections.whenPlace {
            if loop.inEventLoop { bound.value.read() } else { loop.execute { bound.value.read() } }
        }
    }
}

@available(*, unavailable)
extension AcceptLimit: Sendable {}
