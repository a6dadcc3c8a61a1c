import GRPC
import Logging
import Messenger
import ServiceLifecycle
import Synchronization

/// Keeps a stream of the room's messages open and puts them into the inbox: opens it at start, and again whenever it
/// ends, for as long as the program runs.
final class Subscription: Service {
    /// Open once the stream has been opened for the first time.
    let firstOpening = Gate()

    let channel: Channel
    let inbox: Inbox
    let state = Mutex(SubscriptionState())
    let arrivals = Arrivals(patience: .milliseconds(500))
    /// When the program started: the first stream begins with the messages accepted since then.
    let start = ContinuousClock.now
    private let logger: Logger
    /// How many connections there had been when the stream was opened.
    private let connection = Atomic(0)

    init(channel: Channel, inbox: Inbox, logger: Logger) {
        self.channel = channel
        self.inbox = inbox
        self.logger = logger
    }

    var status: SubscriptionStatus {
        var status = state.withLock { $0.status }
        // A stream that is not being read may hold messages of a server that has gone, and then does not end.
        if status.stream == .paused, !hasConnectionOfStream { status.stream = .reconnecting }
        if status.stream == .open, inbox.isOverBudget { status.stream = .paused }
        return status
    }

    var hasConnectionOfStream: Bool {
        channel.connectivityState() == .ready && channel.connectionCount == connection.load(ordering: .relaxed)
    }

    /// Calls back when the message with this time is in the inbox, or was, but after half a second at the latest.
    func whenArrived(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        arrivals.whenReached(time, action)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.arrivals.expire() }
                await self.keepOpen()
                group.cancelAll()
            }
        }
        state.withLock { $0.closed() }
    }

    private func keepOpen() async {
        var held: Message?
        while !Task.isCancelled {
            let failure = await follow(&held)
            guard !Task.isCancelled else { return }
            let (next, isFirst) = state.withLock { state in
                (state.ended(failure, jitter: .random(in: 0...1), now: .now), state.isFirst)
            }
            log(failure, next, isFirst: isFirst)
            try? await Task.sleep(for: next.delay)
            // Beyond the budget: a server that sends no initial metadata would keep it back until its next message.
            if let message = held, inbox.offer(message, beyondBudget: Self.unreadBytes) {
                held = nil
                state.withLock { $0.resumed() }
                arrivals.reached(message.sendTime)
            }
        }
    }

    /// The stream is on the connection that there is now.
    func rememberConnection() {
        connection.store(channel.connectionCount, ordering: .relaxed)
    }

    /// The stream is open.
    func opened(at position: SendTime?) {
        rememberConnection()
        let opening = state.withLock { state in
            state.opened(at: position)
            return state.opening()
        }
        if let opening { log(opening) }
        firstOpening.open()
    }
}

// MARK: - The log

extension Subscription {
    func log(_ opening: SubscriptionState.Opening) {
        var metadata: Logger.Metadata = ["after": "\(opening.after.map(\.description) ?? "none")"]
        if opening.failures > 0 { metadata["failures"] = "\(opening.failures)" }
        logger.info("stream open", metadata: metadata)
    }

    private func log(_ failure: RPCError?, _ next: SubscriptionState.Next, isFirst: Bool) {
        // A server's text may be long.
        let reason = (failure?.description ?? "the server ended it").utf8.prefix(512)
        var metadata: Logger.Metadata = [
            "reason": "\(String(decoding: reason, as: UTF8.self))",
            "retryIn": "\(Int(next.delay / .milliseconds(1)))ms",
        ]
        guard let failures = next.failures else {
            return logger.debug("stream still not open", metadata: metadata)
        }
        if failures > 1 { metadata["failures"] = "\(failures)" }
        if next.isBehindGap {
            logger.error("messages lost: the server does not hold them any more", metadata: metadata)
        } else if isFirst {
            logger.warning("stream not open yet", metadata: metadata)
        } else {
            logger.warning("stream broken", metadata: metadata)
        }
    }
}
