import LibGRPC
import Logging
import Messenger
import ServiceLifecycle
import Synchronization

/// Keeps a stream of the room's messages open and puts the messages into the inbox, as long as the program runs.
final class Subscription: Service {
    /// Open once the stream has been open for the first time.
    let streamOpened = Latch()

    private let channel: ServerChannel
    private let inbox: Inbox
    private let log: SubscriptionLog
    private let state = Mutex(SubscriptionState())
    private let waiters = PositionWaiters(timeout: .milliseconds(500))
    /// The first stream begins with the messages accepted since the program's start.
    private let startTime = ContinuousClock.now
    /// The channel of the stream.
    private let streamChannel: Mutex<Channel>
    /// That channel's connection count when the stream was opened.
    private let streamConnection = Atomic(0)

    init(channel: ServerChannel, inbox: Inbox, logger: Logger) {
        self.channel = channel
        streamChannel = Mutex(channel.current)
        self.inbox = inbox
        log = SubscriptionLog(logger: logger)
    }

    var status: SubscriptionStatus {
        var status = state.withLock { $0.status }
        // A stream that is not read does not end when its server is gone.
        if status.stream == .paused, !isStreamConnected { status.stream = .reconnecting }
        if status.stream == .open, inbox.isOverBudget { status.stream = .paused }
        return status
    }

    /// Whether the server is one of ours, which knows more than the interface says.
    var serverSendsPositions: Bool { state.withLock { $0.serverSendsPositions } }

    /// Grows when a server does not hold what followed the stream's position.
    var losses: Int { state.withLock { $0.losses } }

    /// How many streams have ended or could not be opened.
    var endedStreams: Int { state.withLock { $0.endedStreams } }

    /// Whether the stream is open on the channel's connection.
    var isFollowing: Bool { status.stream.isConnected && isStreamConnected }

    /// Whether the connection of the stream still exists.
    private var isStreamConnected: Bool {
        let channel = streamChannel.withLock(\.self)
        return channel.connectivityState() == .ready
            && channel.connectionCount == streamConnection.load(ordering: .relaxed)
    }

    /// Calls back when the message with this time has been received, but after half a second at the latest.
    func whenReceived(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        waiters.whenReached(time, action)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.waiters.runTimeouts() }
                await self.keepStreamOpen()
                group.cancelAll()
            }
        }
        state.withLock { $0.closed() }
    }

    private func keepStreamOpen() async {
        var pending: Message?
        while !Task.isCancelled {
            let error = await runStream(&pending)
            guard !Task.isCancelled else { return }
            let (retry, isFirst) = state.withLock { state in
                (state.ended(error, jitter: .random(in: 0...1), now: .now), state.isFirst)
            }
            log.ended(error, retry, isFirst: isFirst)
            try? await Task.sleep(for: retry.delay)
            // Beyond the budget: a server without positions would keep the message back until its next one.
            if let message = pending, inbox.offer(message, beyondBudget: Self.maxUnreadBytes) {
                pending = nil
                state.withLock { $0.resumed() }
                waiters.advance(to: message.sendTime)
            }
        }
    }
}

// MARK: - One stream

extension Subscription {
    /// How long a stream must be open until it is stable.
    private static let stableAfter = Duration.seconds(2)
    /// A stream of a server without positions is open if nothing has happened for this long.
    private static let openAfterSilence = Duration.seconds(1)
    /// A first stream that takes longer to open is opened again, a few times.
    private static let fastOpen = (duration: Duration.milliseconds(100), attempts: 3)

    /// Opens a stream and receives its messages until it ends.
    ///
    /// - Parameter pending: A received message that is not in the inbox yet, because the inbox is full.
    /// - Returns: Why the stream ended; `nil` for OK.
    private func runStream(_ pending: inout Message?) async -> RPCError? {
        let isOpen = Latch()
        let hasEnded = Latch()
        return await withTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { await self.monitor(isOpen) }
            do {
                let (stream, position) = try await openStream()
                // The status arrives even while nothing is read, unless messages are left to be read.
                group.addTask {
                    _ = await stream.trailingMetadata
                    hasEnded.open()
                }
                rememberConnection()
                if let position {
                    opened(at: position)
                    isOpen.open()
                }
                var messages = stream.makeAsyncIterator()
                if let message = pending.take() {
                    pending = try await store(message, until: hasEnded)
                    if pending == nil { state.withLock { $0.resumed() } }
                }
                while let message = try await messages.next() {
                    // The stream has ended without a status. The next one sends this message again.
                    guard pending == nil else {
                        throw RPCError(code: .unavailable, message: "the connection was lost while the inbox was full")
                    }
                    let (isNew, openedStream) = state.withLock { ($0.receive(message), $0.streamToLog()) }
                    if let openedStream { log.opened(openedStream) }
                    if position == nil {
                        streamOpened.open()
                        isOpen.open()
                    }
                    if isNew { pending = try await store(message, until: hasEnded) }
                }
                return nil
            } catch let error as RPCError {
                return error
            } catch {
                return RPCError(code: .cancelled, message: "the program is stopping", cause: error)
            }
        }
    }

    /// Calls the server, and waits for the position after which the stream begins; `nil` if the server sends none.
    ///
    /// The first call has no position. It says how long the program has been running, so that no message since its start
    /// is missed, whatever the clocks say. If the connection takes long, that age is too small: then it calls again.
    private func openStream() async throws -> (ResponseStream<Message>, position: SendTime?) {
        let isFirst = state.withLock { $0.isFirst }
        var attempts = 0
        while true {
            let callTime = ContinuousClock.now
            var options = CallOptions()
            if isFirst {
                let age = Int64((callTime - startTime) / .nanoseconds(1))
                options.metadata = [MessengerMethods.readerAgeKey: .string("\(age)")]
            }
            // Without `waitForReady`, so that the log says why there is no connection.
            let channel = channel.current
            streamChannel.withLock { $0 = channel }
            let stream = try channel.serverStreaming(
                MessengerMethods.readMessages,
                ReadMessagesRequest(after: state.withLock { $0.position }),
                options: options
            )
            // A refused stream has initial metadata too, but no position.
            let text = try await stream.initialMetadata.first(MessengerMethods.positionKey)
            let position = text.flatMap { SendTime(rfc3339: $0) }
            attempts += 1
            let isFast = callTime.duration(to: .now) < Self.fastOpen.duration
            guard isFirst, position != nil, !isFast, attempts < Self.fastOpen.attempts else {
                return (stream, position)
            }
        }
    }

    private func rememberConnection() {
        streamConnection.store(streamChannel.withLock(\.connectionCount), ordering: .relaxed)
    }

    private func opened(at position: SendTime?) {
        rememberConnection()
        let openedStream = state.withLock { state in
            state.opened(at: position)
            return state.streamToLog()
        }
        if let openedStream { log.opened(openedStream) }
        streamOpened.open()
    }

    /// Detects that a stream of a server without positions is open, and that a stream has become stable.
    private func monitor(_ isOpen: Latch) async {
        while !isOpen.isOpen {
            let channel = streamChannel.withLock(\.self)
            let wasConnected = channel.connectivityState() == .ready
            _ = await isOpen.wait(timeout: Self.openAfterSilence)
            guard !Task.isCancelled else { return }
            // A server that sends positions has not answered yet.
            guard !isOpen.isOpen, wasConnected, channel.connectivityState() == .ready,
                !state.withLock({ $0.serverSendsPositions })
            else { continue }
            opened(at: nil)
            isOpen.open()
        }
        guard (try? await Task.sleep(for: Self.stableAfter)) != nil else { return }
        let openedStream = state.withLock { state in
            state.becameStable()
            return state.streamToLog()
        }
        if let openedStream { log.opened(openedStream) }
    }
}

// MARK: - Backpressure

extension Subscription {
    private enum StoreResult {
        case stored
        case streamEnded
        /// Messages of the stream may be left to be read.
        case connectionLost
    }

    private static let connectionCheckInterval = Duration.milliseconds(100)
    /// What a stream may hold unread: its window, and one message in part.
    private static let maxUnreadBytes = 512 << 10

    /// Puts a message into the inbox. If the inbox is full, waits for space or for the end of the stream.
    ///
    /// A stream whose connection is lost ends only after its last message has been read. So these messages may exceed
    /// the budget: a full inbox must not keep the client from reconnecting.
    /// - Returns: The message if the stream ended first.
    private func store(_ message: Message, until hasEnded: Latch) async throws -> Message? {
        var isStored = inbox.offer(message)
        if !isStored {
            state.withLock { $0.paused() }
            waiters.releaseAll()
            switch await waitForSpace(message, until: hasEnded, orLostConnection: true) {
            case .stored: isStored = true
            case .streamEnded: break
            case .connectionLost where inbox.offer(message, beyondBudget: Self.maxUnreadBytes): isStored = true
            case .connectionLost:
                isStored = await waitForSpace(message, until: hasEnded, orLostConnection: false) == .stored
            }
            guard isStored else { return message }
            state.withLock { $0.resumed() }
        }
        waiters.advance(to: message.sendTime)
        return nil
    }

    private func waitForSpace(
        _ message: Message,
        until hasEnded: Latch,
        orLostConnection watchesConnection: Bool
    ) async -> StoreResult {
        await withTaskGroup(of: StoreResult.self) { group in
            group.addTask { [inbox] in (try? await inbox.append(message)) != nil ? .stored : .streamEnded }
            group.addTask {
                _ = await hasEnded.wait()
                return .streamEnded
            }
            if watchesConnection {
                group.addTask {
                    while self.isStreamConnected {
                        guard (try? await Task.sleep(for: Self.connectionCheckInterval)) != nil else {
                            return .streamEnded
                        }
                    }
                    return .connectionLost
                }
            }
            let first = await group.next() ?? .streamEnded
            group.cancelAll()
            // The message may have been stored at the same moment.
            for await other in group where other == .stored { return .stored }
            return first
        }
    }
}
