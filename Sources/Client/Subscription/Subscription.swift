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

    private let channel: Channel
    private let inbox: Inbox
    private let logger: Logger
    private let state = Mutex(SubscriptionState(start: .now()))
    private let arrivals = Arrivals(patience: .milliseconds(500))

    init(channel: Channel, inbox: Inbox, logger: Logger) {
        self.channel = channel
        self.inbox = inbox
        self.logger = logger
    }

    var status: SubscriptionStatus {
        var status = state.withLock { $0.status }
        // While nothing is read from it, a stream does not tell that its server has gone.
        if status.stream == .paused, channel.connectivityState(connecting: true) != .ready {
            status.stream = .reconnecting
        }
        return status
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
        var lastFailure: RPCError?
        while !Task.isCancelled {
            let failure = await follow()
            if status.stream.isConnected { lastFailure = nil }
            guard !Task.isCancelled else { return }
            let (next, isFirst) = state.withLock { state in
                (state.ended(failure, jitter: .random(in: 0...1)), state.status.stream == .connecting)
            }
            let details = metadata(failure, retryIn: next.delay)
            if next.isBehindGap {
                logger.error("messages lost: the server does not hold them any more", metadata: details)
            } else if let failure,
                failure.code == .outOfRange || lastFailure?.description.hasBytes(of: failure.description) == true
            {
                // Said already: a server that is away for long is to fill no disk.
                logger.debug("stream still not open", metadata: details)
            } else if isFirst {
                logger.warning("stream not open yet", metadata: details)
            } else {
                logger.warning("stream broken", metadata: details)
            }
            lastFailure = failure
            try? await Task.sleep(for: next.delay)
        }
    }

    /// Opens one stream and takes its messages until it ends. Returns why it ended.
    private func follow() async -> RPCError? {
        do {
            let stream = try channel.serverStreaming(
                MessengerMethods.readMessages,
                // Does not wait for a connection, or nobody would learn why there is none.
                ReadMessagesRequest(after: state.withLock { $0.position })
            )
            // A stream that is refused has initial metadata too, but no position.
            if let position = try await stream.initialMetadata.first(MessengerMethods.positionKey) {
                opened(at: SendTime(rfc3339: position))
            }
            for try await message in stream where state.withLock({ $0.take(message) }) {
                if !status.stream.isConnected { opened(at: nil) }
                try await putAway(message)
            }
            return nil
        } catch let error as RPCError {
            return error
        } catch {
            return RPCError(code: .cancelled, message: "the program is stopping", cause: error)
        }
    }

    /// Puts a message into the inbox; while that is full, waits.
    private func putAway(_ message: Message) async throws(CancellationError) {
        if !inbox.offer(message) {
            state.withLock { $0.paused() }
            arrivals.giveUp()
            try await inbox.append(message)
            state.withLock { $0.resumed() }
        }
        arrivals.reached(message.sendTime)
    }

    private func opened(at start: SendTime?) {
        let position = state.withLock { state in
            state.opened(at: start)
            return state.position
        }
        logger.info("stream open", metadata: ["after": "\(position.map(\.description) ?? "none")"])
        firstOpening.open()
    }

    private func metadata(_ failure: RPCError?, retryIn delay: Duration) -> Logger.Metadata {
        let milliseconds = Int(delay / .milliseconds(1))
        return ["reason": "\(failure?.description ?? "the server ended it")", "retryIn": "\(milliseconds)ms"]
    }
}
