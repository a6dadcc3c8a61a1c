import LibGRPC
import Messenger

/// The client's position in the room's messages, and what to do when its stream ends. A value without I/O.
///
/// The position is the time of the last received message. Each stream begins after it, so every message is received
/// once, however often streams break. The server sets the first position, by its own clock.
struct SubscriptionState: Sendable {
    /// How to continue after a stream has ended.
    struct Retry: Equatable, Sendable {
        /// The time until the next stream is opened.
        var delay: Duration
        /// Messages were lost: the server no longer holds them.
        var hasGap = false
        /// How many streams in a row have failed; `nil` if the failure should not be logged.
        var failures: Int?
    }

    /// An open stream that should be logged.
    struct OpenedStream: Equatable, Sendable {
        /// The position at which it began.
        var after: SendTime?
        /// How many streams had failed before.
        var failures: Int
    }

    private(set) var status = SubscriptionStatus(stream: .connecting, gaps: 0)
    /// The next stream begins after this time; `nil` for messages that are accepted from now on.
    private(set) var position: SendTime?
    /// Whether the server sends positions. If it does not, several messages may have the same time.
    private(set) var serverSendsPositions = false
    /// Only for servers without positions: the received messages with the time of ``position``.
    private var messagesAtPosition: [Message] = []

    private var isPaused = false
    private var backoff = Backoff()
    /// How many times a server did not hold what followed the position. It may have lost its history, and its keys.
    private(set) var losses = 0
    /// How many streams have ended or could not be opened.
    private(set) var endedStreams = 0
    /// How many times in a row the server has refused the position.
    private var refusals = 0
    private var immediateRetriesLeft = Self.maxImmediateRetries

    private var failureLog = FailureLogLimiter()
    private var unloggedStream: OpenedStream?
    /// Whether the last stream received a message or was stable.
    private var lastMadeProgress = true
    private var madeProgress = false

    private static let maxImmediateRetries = 2
    private static let maxMessagesAtPosition = 256
    private static let secondInNanoseconds: Int64 = 1_000_000_000

    /// Whether no stream has been open yet.
    var isFirst: Bool { status.stream == .connecting }

    /// The stream is open.
    ///
    /// - Parameter start: The position after which it begins; `nil` if the server sends none.
    mutating func opened(at start: SendTime?) {
        status.stream = isPaused ? .paused : .open
        status.isRefused = false
        refusals = 0
        madeProgress = false
        if start != nil { serverSendsPositions = true }
        position = position ?? start
        unloggedStream = OpenedStream(after: position, failures: 0)
    }

    /// The open stream, if it should be logged now: once, and only after it or the last one made progress.
    mutating func streamToLog() -> OpenedStream? {
        guard lastMadeProgress || madeProgress, var stream = unloggedStream else { return nil }
        unloggedStream = nil
        stream.failures = failureLog.reset()
        return stream
    }

    /// The inbox is full: nothing is read, neither from this stream nor from the next one.
    mutating func paused() {
        isPaused = true
        if status.stream == .open { status.stream = .paused }
    }

    mutating func resumed() {
        isPaused = false
        if status.stream == .paused { status.stream = .open }
    }

    /// The stream has been open for a while. Only this resets the backoff: a stream that ends after its first message
    /// would be opened again and again.
    mutating func becameStable() {
        madeProgress = true
        backoff.reset()
        immediateRetriesLeft = Self.maxImmediateRetries
    }

    /// A message was received.
    ///
    /// - Returns: Whether it is new.
    mutating func receive(_ message: Message) -> Bool {
        // A server without positions sends nothing before its first message.
        if !status.stream.isConnected { opened(at: nil) }
        if let position, message.sendTime <= position {
            guard !serverSendsPositions, message.sendTime == position, !messagesAtPosition.contains(message)
            else { return false }
        }
        if !serverSendsPositions {
            if message.sendTime != position || messagesAtPosition.count == Self.maxMessagesAtPosition {
                messagesAtPosition.removeAll()
            }
            messagesAtPosition.append(message)
        }
        position = message.sendTime
        madeProgress = true
        return true
    }

    /// The stream has ended, or could not be opened.
    ///
    /// - Parameters:
    ///   - error: Its status; `nil` for OK, which is unexpected.
    ///   - jitter: A random number from 0 to 1.
    mutating func ended(_ error: RPCError?, jitter: Double, now: ContinuousClock.Instant) -> Retry {
        let hasBeenOpen = !isFirst
        endedStreams += 1
        if status.stream.isConnected { lastMadeProgress = madeProgress }
        unloggedStream = nil
        status.isRefused = error?.code == .unauthenticated || error?.code == .permissionDenied
        if hasBeenOpen { status.stream = .reconnecting }
        var retry: Retry
        switch error?.code {
        case .outOfRange?:
            let heldAfter = error?.metadata.first(MessengerMethods.heldAfterKey).flatMap { SendTime(rfc3339: $0) }
            retry = positionRefused(heldAfter: heldAfter, hasBeenOpen: hasBeenOpen, jitter: jitter)
        case .invalidArgument?:
            // The position is in the server's future: its clock was set back.
            retry = positionRefused(heldAfter: nil, hasBeenOpen: hasBeenOpen, jitter: jitter)
        default:
            retry = Retry(delay: backoff.next(jitter: jitter))
        }
        // The server only said from where to continue. Log it if that does not help.
        let isExpected = error?.code == .outOfRange && !retry.hasGap && retry.delay == .zero
        retry.failures = failureLog.record(isExpected ? nil : error?.description ?? "", now: now)
        return retry
    }

    /// The server no longer holds all messages after the position. Continues with those that it holds.
    private mutating func positionRefused(heldAfter: SendTime?, hasBeenOpen: Bool, jitter: Double) -> Retry {
        defer { refusals += 1 }
        losses += 1
        // The first refusal may be old: it waits behind messages that were not read. A full history drops old messages all
        // the time, also while this client asks. So skip a second at the third try. After that, or if the server does not
        // say what it holds, ask for new messages only.
        switch refusals {
        case 0, 1: position = heldAfter
        case 2:
            position = heldAfter.map {
                SendTime(nanosecondsSinceEpoch: $0.nanosecondsSinceEpoch &+ Self.secondInNanoseconds)
            }
        default: position = nil
        }
        let hasGap = hasBeenOpen && refusals == 0
        if hasGap { status.gaps += 1 }
        // There is no need to wait, unless the server refuses again and again.
        guard immediateRetriesLeft > 0 else { return Retry(delay: backoff.next(jitter: jitter), hasGap: hasGap) }
        immediateRetriesLeft -= 1
        return Retry(delay: .zero, hasGap: hasGap)
    }

    /// The program is stopping.
    mutating func closed() {
        status.stream = .closed
    }
}

/// The delay between attempts. It doubles from 50 ms to 1 s. Jitter keeps clients from reconnecting at the same time.
struct Backoff: Sendable {
    static let initial = Duration.milliseconds(50)
    static let maximum = Duration.seconds(1)

    private var current = initial

    /// - Parameter jitter: A random number from 0 to 1. It shortens the delay by up to half.
    mutating func next(jitter: Double) -> Duration {
        defer { current = min(current * 2, Self.maximum) }
        return current * (1 - jitter / 2)
    }

    mutating func reset() {
        current = Self.initial
    }
}

/// Decides which failures of the stream are logged: each reason once, and one failure per minute while it lasts.
struct FailureLogLimiter: Sendable {
    static let interval = Duration.seconds(60)
    /// A server that gives a new reason each time must not fill the log.
    static let maxReasons = 5

    /// As bytes: the text is the server's.
    private var loggedReasons: [[UInt8]] = []
    private var failures = 0
    private var nextReminder: ContinuousClock.Instant?

    /// Counts a failure.
    ///
    /// - Parameter reason: `nil` for a failure that is logged only as a reminder.
    /// - Returns: The number of failures in a row; `nil` if this one should not be logged.
    mutating func record(_ reason: String?, now: ContinuousClock.Instant) -> Int? {
        failures += 1
        let bytes = reason.map { Array($0.utf8) }
        var isDue = false
        if let bytes, loggedReasons.count < Self.maxReasons, !loggedReasons.contains(bytes) {
            loggedReasons.append(bytes)
            isDue = true
        }
        if let nextReminder, now >= nextReminder { isDue = true }
        if isDue || nextReminder == nil { nextReminder = now + Self.interval }
        return isDue ? failures : nil
    }

    /// The stream works again.
    ///
    /// - Returns: How many failures there were.
    mutating func reset() -> Int {
        defer { self = FailureLogLimiter() }
        return failures
    }
}
