import Messenger
import Synchronization

/// The room: accepts messages in one order, and lets any number of readers follow at their own pace.
///
/// A reader is a ``Cursor`` into the room's history: what it has not read costs nothing, and nobody waits for it. A
/// reader that falls so far behind that the history has let go of its next message gets an error, never a gap.
///
/// `Content` is what readers get for a message: made once, when the message is accepted. Thread-safe.
final class Room<Content: Sendable>: Sendable {
    /// A reader's place in the history.
    struct Cursor: Sendable {
        /// The time after which the reader began.
        let position: SendTime
        fileprivate var next: Int
        fileprivate let bell = Bell()
    }

    /// What readers will get for a message, and its size in bytes.
    typealias Encode = @Sendable (Message) -> (content: Content, byteCount: Int)

    private let state: Mutex<State>
    private let clock: @Sendable () -> SendTime
    private let encode: Encode

    private struct State: Sendable {
        var history: History<Content>
        var bells = BellRegister()
        var isClosed = false
    }

    /// - Parameters:
    ///   - limits: What the history holds at the most.
    ///   - clock: The wall clock. It may step back; send times do not.
    init(
        limits: History<Content>.Limits,
        clock: @escaping @Sendable () -> SendTime = SendTime.now,
        encode: @escaping Encode
    ) {
        self.clock = clock
        self.encode = encode
        state = Mutex(State(history: History(limits: limits, start: clock())))
    }

    /// Accepts a message: when this returns, it is in the history.
    /// - Returns: Its time, later than that of any message before.
    /// - Throws: ``RoomError/closed``; the message is not in the history then.
    func append(author: String, text: String) throws(RoomError) -> SendTime {
        let (sendTime, bells) = try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let sendTime = state.history.nextSendTime(clock: clock())
            let (content, byteCount) = encode(Message(author: author, text: text, sendTime: sendTime))
            state.history.append(content, sendTime: sendTime, byteCount: byteCount)
            return (sendTime, state.bells.takeAll())
        }
        for bell in bells { bell.ring() }
        return sendTime
    }

    /// Begins to read: after a time, or after the latest message.
    func cursor(after time: SendTime? = nil) throws(RoomError) -> Cursor {
        try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard let time else { return Cursor(position: state.history.latest, next: state.history.end) }
            return Cursor(position: time, next: try state.history.sequence(after: time, now: clock()))
        }
    }

    /// The next messages of a reader, at most `count`; waits until there is one.
    func next(_ cursor: inout Cursor, atMost count: Int) async throws(RoomError) -> [Content] {
        while true {
            let (next, bell) = (cursor.next, cursor.bell)
            let contents = try state.withLock { state throws(RoomError) in
                let contents = try state.history.contents(from: next, atMost: count)
                if contents.isEmpty {
                    guard !state.isClosed else { throw RoomError.closed }
                    state.bells.add(bell)
                }
                return contents
            }
            guard contents.isEmpty else {
                cursor.next += contents.count
                return contents
            }
            guard await bell.wait() else { throw RoomError.cancelled }
        }
    }

    /// Accepts no more messages and no more readers; those that are there get ``RoomError/closed`` when they have read
    /// what there is.
    func close() {
        let bells = state.withLock { state in
            state.isClosed = true
            return state.bells.takeAll()
        }
        for bell in bells { bell.ring() }
    }

    /// Ends the waiting of a reader whose task has been cancelled, now and later.
    func cancel(_ cursor: Cursor) {
        cursor.bell.cancel()
    }
}
