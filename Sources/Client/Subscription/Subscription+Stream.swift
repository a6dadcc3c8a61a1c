import GRPC
import Messenger
import Synchronization

// One stream, from its call to its end.

extension Subscription {
    /// How long a stream must live before a failure counts as the first one again.
    private static let usefulLife = Duration.seconds(2)
    /// A server that sends nothing before its first message has opened a stream that has lived this long.
    private static let longestSilence = Duration.seconds(1)
    /// A first opening that took longer is repeated, a few times.
    private static let connectionInterval = Duration.milliseconds(100)
    /// What a stream may hold that has not been read: its window, and a message that was begun.
    static let unreadBytes = 512 << 10
    private static let timelyOpening = (duration: Duration.milliseconds(100), attempts: 3)

    /// Opens one stream and takes its messages until it ends. Returns why it ended.
    ///
    /// - Parameter held: A message that has been taken and is not in the inbox yet, because that is full.
    func follow(_ held: inout Message?) async -> RPCError? {
        let isOpen = Gate()
        let hasEnded = Gate()
        return await withTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            group.addTask { await self.watch(isOpen) }
            do {
                let (stream, position) = try await open()
                // The core says so also while nothing is read, unless messages of the server are left to be read.
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
                if let message = held.take() {
                    held = try await putAway(message, unless: hasEnded)
                    if held == nil { state.withLock { $0.resumed() } }
                }
                while let message = try await messages.next() {
                    // The stream has ended, but not by a status: a server that holds the message will send it again.
                    guard held == nil else { throw RPCError.endedUnread }
                    let (isNew, opening) = state.withLock { state in (state.take(message), state.opening()) }
                    if let opening { log(opening) }
                    if position == nil {
                        firstOpening.open()
                        isOpen.open()
                    }
                    if isNew { held = try await putAway(message, unless: hasEnded) }
                }
                return nil
            } catch let error as RPCError {
                return error
            } catch {
                return RPCError(code: .cancelled, message: "the program is stopping", cause: error)
            }
        }
    }

    /// Calls the server, and waits for the position from which the stream begins; `nil` if the server does not say.
    ///
    /// The first call has no position to begin after. It says how long this program has been running, so that nothing is
    /// missed that was accepted meanwhile, whatever the clocks of the two machines say. A connection that takes long to be
    /// made would make that wrong: then it calls again.
    private func open() async throws -> (ResponseStream<Message>, position: SendTime?) {
        let isFirst = state.withLock { $0.isFirst }
        var attempts = 0
        while true {
            let now = ContinuousClock.now
            var options = CallOptions()
            if isFirst {
                let age = Int64((now - start) / .nanoseconds(1))
                options.metadata = [MessengerMethods.readerAgeKey: .string("\(age)")]
            }
            let stream = try channel.serverStreaming(
                MessengerMethods.readMessages,
                // Does not wait for a connection, or nobody would learn why there is none.
                ReadMessagesRequest(after: state.withLock { $0.position }),
                options: options
            )
            // A stream that is refused has initial metadata too, but no position.
            let text = try await stream.initialMetadata.first(MessengerMethods.positionKey)
            let position = text.flatMap { SendTime(rfc3339: $0) }
            attempts += 1
            let isTimely = now.duration(to: .now) < Self.timelyOpening.duration
            guard isFirst, position != nil, !isTimely, attempts < Self.timelyOpening.attempts else {
                return (stream, position)
            }
        }
    }

    /// Notices that a stream is open although the server has said nothing, and that it has lived for a while.
    private func watch(_ isOpen: Gate) async {
        while !isOpen.isOpen {
            let wasConnected = channel.connectivityState() == .ready
            _ = await isOpen.wait(atMost: Self.longestSilence)
            guard !Task.isCancelled else { return }
            // Only of servers that never say it: of others silence means that they have not answered.
            guard !isOpen.isOpen, wasConnected, channel.connectivityState() == .ready,
                !state.withLock({ $0.serverSaysPositions })
            else { continue }
            opened(at: nil)
            isOpen.open()
        }
        guard (try? await Task.sleep(for: Self.usefulLife)) != nil else { return }
        let opening = state.withLock { state in
            state.lived()
            return state.opening()
        }
        if let opening { log(opening) }
    }

    /// Puts a message into the inbox; while that is full, waits for room, or for the end of the stream.
    ///
    /// A stream whose connection is lost ends only when its messages have been read. They go beyond the inbox's budget, or
    /// a full inbox would keep the client from the next server.
    /// - Returns: The message, if it is not in the inbox: the stream has ended.
    private func putAway(_ message: Message, unless hasEnded: Gate) async throws -> Message? {
        var isIn = inbox.offer(message)
        if !isIn {
            state.withLock { $0.paused() }
            arrivals.giveUp()
            switch await wait(for: message, unless: hasEnded, watchingConnection: true) {
            case .room: isIn = true
            case .connectionLost where inbox.offer(message, beyondBudget: Self.unreadBytes): isIn = true
            case .connectionLost:
                isIn = await wait(for: message, unless: hasEnded, watchingConnection: false) == .room
            case .end: break
            }
            guard isIn else { return message }
            state.withLock { $0.resumed() }
        }
        arrivals.reached(message.sendTime)
        return nil
    }

    private enum Wait {
        /// The message is in the inbox.
        case room
        /// The stream has ended.
        case end
        /// The stream's connection is no more, but messages of it may be left to be read.
        case connectionLost
    }

    private func wait(
        for message: Message,
        unless hasEnded: Gate,
        watchingConnection: Bool
    ) async -> Wait {
        await withTaskGroup(of: Wait.self) { group in
            group.addTask { [inbox] in (try? await inbox.append(message)) != nil ? .room : .end }
            group.addTask {
                _ = await hasEnded.wait()
                return .end
            }
            if watchingConnection {
                group.addTask {
                    while self.hasConnectionOfStream {
                        guard (try? await Task.sleep(for: Self.connectionInterval)) != nil else { return .end }
                    }
                    return .connectionLost
                }
            }
            let first = await group.next() ?? .end
            group.cancelAll()
            // There may have been room at the same moment.
            for await other in group where other == .room { return .room }
            return first
        }
    }
}

extension RPCError {
    fileprivate static var endedUnread: RPCError {
        RPCError(code: .unavailable, message: "the connection broke while the buffer was full")
    }
}
