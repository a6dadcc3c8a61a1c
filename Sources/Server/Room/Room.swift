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
        var next: Int
        let bell = Bell()
        /// The time of the last message that the reader has had, or after which it began.
        var last: SendTime
        /// Whether `next` is to be found by `last` first; only in a room with a home.
        var isLookedUp: Bool

        init(position: SendTime, next: Int, isLookedUp: Bool = false) {
            self.position = position
            self.next = next
            self.isLookedUp = isLookedUp
            last = position
        }
    }

    /// What readers will get for a message, and its size in bytes.
    typealias Encode = @Sendable (Message) -> (content: Content, byteCount: Int)

    /// Where messages are kept beyond memory, if they are.
    let home: (any HistoryHome)?
    let state: Mutex<State>
    let clock: @Sendable () -> SendTime
    let encode: Encode

    struct State: Sendable {
        var history: History<Content>
        var bells = BellRegister()
        var isClosed = false
    }

    /// - Parameters:
    ///   - limits: What the history holds at the most.
    ///   - start: The time of the last message in the home; without a home, now.
    ///   - clock: The wall clock. It may step back; send times do not.
    init(
        limits: History<Content>.Limits,
        home: (any HistoryHome)? = nil,
        start: SendTime? = nil,
        clock: @escaping @Sendable () -> SendTime = SendTime.now,
        encode: @escaping Encode
    ) {
        self.home = home
        self.clock = clock
        self.encode = encode
        state = Mutex(State(history: History(limits: limits, start: start ?? clock())))
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
        if let home { return try cursor(after: time, home: home) }
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard let time else { return Cursor(position: state.history.latest, next: state.history.end) }
            return Cursor(position: time, next: try state.history.sequence(after: time, now: clock()))
        }
    }

    /// The next messages of a reader, at most `count`; waits until there is one.
    func next(_ cursor: inout Cursor, atMost count: Int) async throws(RoomError) -> [Content] {
        while true {
            if cursor.isLookedUp, let contents = try await lookUp(&cursor, atMost: count) { return contents }
            let (next, bell) = (cursor.next, cursor.bell)
            let (contents, last) = try state.withLock { state throws(RoomError) -> ([Content], SendTime?) in
                guard home == nil || next >= state.history.firstSequence else { return ([], nil) }
                let contents = try state.history.contents(from: next, atMost: count)
                if contents.isEmpty {
                    guard !state.isClosed else { throw RoomError.closed }
                    state.bells.add(bell)
                    return ([], cursor.last)
                }
                return (contents, state.history.sendTime(at: next + contents.count - 1))
            }
            guard let last else {
                cursor.isLookedUp = true
                continue
            }
            guard contents.isEmpty else {
                cursor.next += contents.count
                cursor.last = last
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
