import GRPC
import Messenger

/// Where the client stands in the room's messages, and what to do when its stream ends: a value without I/O.
///
/// The position is the time of the last message taken, or the stream's starting position before the first. A stream is
/// opened after it, so each message is taken once, however often streams break.
struct SubscriptionState: Sendable {
    /// What to do after a stream has ended.
    enum Next: Equatable, Sendable {
        /// Open the next one after this long.
        case retry(after: Duration)
        /// Open the next one at once; messages have been lost for good.
        case resumeBehindGap
    }

    private(set) var status = SubscriptionStatus(stream: .connecting, gaps: 0)
    /// Messages after this time are still to come; `nil` before the first opening.
    private(set) var position: SendTime?
    private var backoff = Backoff()

    /// The server has opened the stream. It begins after `start`.
    mutating func opened(at start: SendTime?) {
        status.stream = .open
        backoff.reset()
        // A stream that was opened to resume begins where it was told to.
        if position == nil { position = start }
    }

    /// A message has come. Returns whether it is new.
    mutating func take(_ message: Message) -> Bool {
        if let position, message.sendTime <= position { return false }
        position = message.sendTime
        return true
    }

    /// The stream has ended, or could not be opened.
    ///
    /// - Parameters:
    ///   - error: Its status; `nil` for OK, which this stream has no reason to end with.
    ///   - jitter: A random number from 0 to 1.
    mutating func ended(_ error: RPCError?, jitter: Double) -> Next {
        status.stream = status.stream == .connecting ? .connecting : .reconnecting
        guard position != nil, let error, error.code == .outOfRange || error.code == .invalidArgument else {
            return .retry(after: backoff.next(jitter: jitter))
        }
        // The server does not hold what comes next. It goes on with what it does hold, and if it does not say what that
        // is, with what is accepted from now on.
        status.gaps += 1
        position = error.metadata.first(MessengerMethods.heldAfterKey).flatMap { SendTime(rfc3339: $0) }
        return .resumeBehindGap
    }

    /// No more streams will be opened.
    mutating func closed() {
        status.stream = .closed
    }
}

/// The time between attempts: it doubles from 50 ms to 2 s, and is spread so that clients do not come back in step.
struct Backoff: Sendable {
    private static let first = Duration.milliseconds(50)
    private static let longest = Duration.seconds(2)

    private var current = first

    /// - Parameter jitter: A random number from 0 to 1, which takes off up to half.
    mutating func next(jitter: Double) -> Duration {
        defer { current = min(current * 2, Self.longest) }
        return current * (1 - jitter / 2)
    }

    mutating func reset() {
        current = Self.first
    }
}
