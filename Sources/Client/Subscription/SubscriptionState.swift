import GRPC
import Messenger

/// The client's position in the room's messages, and what to do when its stream ends: a value without I/O.
///
/// The position is the time of the last message taken. A stream is opened after it, so each message is taken once,
/// however often streams break. The server says the first position, by its own clock.
struct SubscriptionState: Sendable {
    /// What to do after a stream has ended.
    struct Next: Equatable, Sendable {
        /// Open the next one after this long.
        var delay: Duration
        /// Messages have been lost: the server does not hold them any more.
        var isBehindGap = false
        /// How often in a row streams have failed, if it is to be written to the log.
        var failures: Int?
    }

    /// A stream that is open, for the log.
    struct Opening: Equatable, Sendable {
        /// The position at its beginning.
        var after: SendTime?
        /// How many streams had failed before.
        var failures: Int
    }

    private(set) var status = SubscriptionStatus(stream: .connecting, gaps: 0)
    /// Messages after this time are still to come; `nil` for those that are accepted from now on.
    private(set) var position: SendTime?
    /// Whether the server has said a position. One that does not may give the same time to several messages.
    private(set) var serverSaysPositions = false
    /// Of a server that says no positions: the messages taken that have the time of the position.
    private var latest: [Message] = []

    private var isPaused = false
    private var backoff = Backoff()
    /// How often in a row the server has refused a position.
    private var refusals = 0
    /// How often the next stream may still be opened at once, after an answer that says how to go on.
    private var immediateRetries = Self.mostImmediateRetries

    private var reports = FailureReports()
    /// Open, and not yet in the log.
    private var unwritten: Opening?
    /// The last stream has brought a message or lived for a while.
    private var wasUseful = true
    private var isUseful = false

    private static let mostImmediateRetries = 2
    private static let mostLatest = 256
    /// A second, in nanoseconds.
    private static let lead: Int64 = 1_000_000_000

    /// Whether no stream has been opened yet.
    var isFirst: Bool { status.stream == .connecting }

    /// The server has opened the stream. It begins after `start`; `nil` if the server does not say.
    mutating func opened(at start: SendTime?) {
        status.stream = isPaused ? .paused : .open
        refusals = 0
        isUseful = false
        if start != nil { serverSaysPositions = true }
        position = position ?? start
        unwritten = Opening(after: position, failures: 0)
    }

    /// What to write to the log, once for each stream: but not of one that follows another that brought nothing, until
    /// it has brought something itself.
    mutating func opening() -> Opening? {
        guard wasUseful || isUseful, var opening = unwritten else { return nil }
        unwritten = nil
        opening.failures = reports.recovered()
        return opening
    }

    /// Nothing more can be taken, from this stream or the next one.
    mutating func paused() {
        isPaused = true
        if status.stream == .open { status.stream = .paused }
    }

    /// More can be taken.
    mutating func resumed() {
        isPaused = false
        if status.stream == .paused { status.stream = .open }
    }

    /// The open stream has lived for a while. Only that ends the backoff: one that brings something and ends at once would be
    /// opened again and again.
    mutating func lived() {
        isUseful = true
        backoff.reset()
        immediateRetries = Self.mostImmediateRetries
    }

    /// A message has come. Returns whether it is new.
    mutating func take(_ message: Message) -> Bool {
        // The first message of a server that sends nothing before it.
        if !status.stream.isConnected { opened(at: nil) }
        if let position, message.sendTime <= position {
            guard !serverSaysPositions, message.sendTime == position, !latest.contains(message)
            else {
                return false
            }
        }
        if !serverSaysPositions {
            if message.sendTime != position || latest.count == Self.mostLatest { latest.removeAll() }
            latest.append(message)
        }
        position = message.sendTime
        isUseful = true
        return true
    }

    /// The stream has ended, or could not be opened.
    ///
    /// - Parameters:
    ///   - error: Its status; `nil` for OK, which this stream has no reason to end with.
    ///   - jitter: A random number from 0 to 1.
    mutating func ended(_ error: RPCError?, jitter: Double, now: ContinuousClock.Instant) -> Next {
        let wasEverOpen = !isFirst
        if status.stream.isConnected { wasUseful = isUseful }
        unwritten = nil
        if wasEverOpen { status.stream = .reconnecting }
        var next: Next
        switch error?.code {
        case .outOfRange?:
            let heldAfter = error?.metadata.first(MessengerMethods.heldAfterKey).flatMap { SendTime(rfc3339: $0) }
            next = refused(heldAfter: heldAfter, wasEverOpen, jitter)
        case .invalidArgument?:
            // The position lies in the server's future: its clock was set back.
            next = refused(heldAfter: nil, wasEverOpen, jitter)
        default:
            next = Next(delay: backoff.next(jitter: jitter))
        }
        // It only says how to go on, unless that does not help.
        let isAnswer = error?.code == .outOfRange && !next.isBehindGap && next.delay == .zero
        next.failures = reports.failed(isAnswer ? nil : error?.description ?? "", now: now)
        return next
    }

    /// The server does not hold all that comes after the position: goes on with what it holds.
    private mutating func refused(heldAfter: SendTime?, _ wasEverOpen: Bool, _ jitter: Double) -> Next {
        defer { refusals += 1 }
        // A full history drops a message with each that comes, and many while this client asks. So the second time it asks
        // from a second later on; and then, or if the server does not say what it holds, from now on.
        switch refusals {
        case 0: position = heldAfter
        case 1: position = heldAfter.map { SendTime(nanosecondsSinceEpoch: $0.nanosecondsSinceEpoch &+ Self.lead) }
        default: position = nil
        }
        let isBehindGap = wasEverOpen && refusals == 0
        if isBehindGap { status.gaps += 1 }
        // An answer is no reason to wait; the same one again and again is.
        guard immediateRetries > 0 else { return Next(delay: backoff.next(jitter: jitter), isBehindGap: isBehindGap) }
        immediateRetries -= 1
        return Next(delay: .zero, isBehindGap: isBehindGap)
    }

    /// No more streams will be opened.
    mutating func closed() {
        status.stream = .closed
    }
}
