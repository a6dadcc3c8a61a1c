import GRPC
import Messenger

/// Where the client stands in the room's messages, and what to do when its stream ends: a value without I/O.
///
/// The position is the time of the last message taken. A stream is opened after it, so each message is taken once,
/// however often streams break. Before the first message the position is the program's start: what is said while the
/// first stream is still being opened is not missed.
struct SubscriptionState: Sendable {
    /// What to do after a stream has ended.
    struct Next: Equatable, Sendable {
        /// Open the next one after this long.
        var delay: Duration
        /// Messages have been lost: the server does not hold them any more.
        var isBehindGap = false
    }

    private(set) var status = SubscriptionStatus(stream: .connecting, gaps: 0)
    /// Messages after this time are still to come; `nil` for those that are accepted from now on.
    private(set) var position: SendTime?
    private var backoff = Backoff()

    /// - Parameter start: When the program started.
    init(start: SendTime) {
        position = start
    }

    /// The server has opened the stream. It begins after `start`.
    mutating func opened(at start: SendTime?) {
        status.stream = .open
        backoff.reset()
        position = position ?? start
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
        let wasEverOpen = status.stream != .connecting
        if wasEverOpen { status.stream = .reconnecting }
        var next = Next(delay: backoff.next(jitter: jitter))
        switch error?.code {
        case .outOfRange?:
            // The server does not hold all that comes next. It goes on with what is held, and if the server does not say
            // what that is, with what is accepted from now on.
            position = error?.metadata.first(MessengerMethods.heldAfterKey).flatMap { SendTime(rfc3339: $0) }
            next.isBehindGap = wasEverOpen
        case .invalidArgument?:
            // The position lies in the server's future: its clock, or ours at the start, was set back.
            position = nil
            next.isBehindGap = wasEverOpen
        default:
            break
        }
        if next.isBehindGap { status.gaps += 1 }
        return next
    }

    /// No more streams will be opened.
    mutating func closed() {
        status.stream = .closed
    }
}
