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
    /// How often in a row the server has refused a position.
    private var refusals = 0

    /// A second, in nanoseconds.
    private static let lead: Int64 = 1_000_000_000

    /// - Parameter start: When the program started.
    init(start: SendTime) {
        position = start
    }

    /// The server has opened the stream. It begins after `start`.
    mutating func opened(at start: SendTime?) {
        status.stream = .open
        backoff.reset()
        refusals = 0
        position = position ?? start
    }

    /// The open stream waits, as nothing more can be taken from it.
    mutating func paused() {
        status.stream = .paused
    }

    /// The open stream goes on.
    mutating func resumed() {
        status.stream = .open
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
        switch error?.code {
        case .outOfRange?:
            let heldAfter = error?.metadata.first(MessengerMethods.heldAfterKey).flatMap { SendTime(rfc3339: $0) }
            return refused(heldAfter: heldAfter, wasEverOpen, jitter)
        case .invalidArgument?:
            // The position lies in the server's future: its clock, or ours at the start, was set back.
            return refused(heldAfter: nil, wasEverOpen, jitter)
        default:
            return Next(delay: backoff.next(jitter: jitter))
        }
    }

    /// The server does not hold all that comes after the position: goes on with what it holds.
    private mutating func refused(heldAfter: SendTime?, _ wasEverOpen: Bool, _ jitter: Double) -> Next {
        defer { refusals += 1 }
        // A full history lets go of a message with each that comes, and where many come, of some before they are asked for.
        // So the second time it is a second later; and then, or if the server does not say what it holds, from now on.
        switch refusals {
        case 0: position = heldAfter
        case 1: position = heldAfter.map { SendTime(nanosecondsSinceEpoch: $0.nanosecondsSinceEpoch &+ Self.lead) }
        default: position = nil
        }
        let isBehindGap = wasEverOpen && refusals == 0
        if isBehindGap { status.gaps += 1 }
        // An answer is no reason to wait; the same one again and again is.
        return Next(delay: refusals < 2 ? .zero : backoff.next(jitter: jitter), isBehindGap: isBehindGap)
    }

    /// No more streams will be opened.
    mutating func closed() {
        status.stream = .closed
    }
}
