import Messenger
import Synchronization

/// The room: accepts messages in one order, and lets any number of readers follow at their own pace.
///
/// A reader is a ``Cursor`` into the room's history: what it has not read costs nothing, and nobody waits for it. A
/// reader that falls so far behind that the history has let go of its next message gets an error, never a gap.
///
/// `Content` is what readers get for a message: made once, when the message is accepted. Thread-safe.
final class Room<Content: Sendable>: Sendable {
    /// A reader's place in the history. Used by its reader alone.
    final class Cursor: Sendable {
        /// The time after which the reader began.
        let position: SendTime
        /// The sequence number of its next message; -1 where that has to be found first, in a room with a store.
        let sequence: Atomic<Int>
        /// In a room with a store: the nanoseconds of the last message that the reader has had, or of its beginning.
        let lastTime: Atomic<Int64>

        init(position: SendTime, next: Int?) {
            self.position = position
            sequence = Atomic(next ?? -1)
            lastTime = Atomic(position.nanosecondsSinceEpoch)
        }
    }

    /// What readers will get for a message, and its size in bytes.
    typealias Encode = @Sendable (Message) -> (content: Content, byteCount: Int)

    /// Where messages are kept beyond memory, if they are.
    let store: (any HistoryStore)?
    let state: Mutex<State>
    let clock: @Sendable () -> SendTime
    let encode: Encode
    let onChange: @Sendable () -> Void

    struct State: Sendable {
        var history: History<Content>
        var isClosed = false

        /// Whether a reader that has had a message has to ask again: for another one, or to be told that there are no more.
        func hasMore(after sequence: Int) -> Bool { sequence + 1 < history.end || isClosed }
    }

    /// - Parameters:
    ///   - limits: What the history holds at the most.
    ///   - start: The time of the last message in the store; without a store, now.
    ///   - clock: The wall clock. It may step back; send times do not.
    ///   - onChange: Told, from any thread, that readers have something to read: a message, or that the room is closed.
    init(
        limits: History<Content>.Limits,
        store: (any HistoryStore)? = nil,
        start: SendTime? = nil,
        clock: @escaping @Sendable () -> SendTime = SendTime.now,
        onChange: @escaping @Sendable () -> Void = {},
        encode: @escaping Encode
    ) {
        self.store = store
        self.clock = clock
        self.encode = encode
        self.onChange = onChange
        state = Mutex(State(history: History(limits: limits, start: start ?? clock())))
    }

    /// Accepts a message: when this returns, it is in the history.
    /// - Returns: Its time, later than that of any message before.
    /// - Throws: ``RoomError/closed``; the message is not in the history then.
    func append(author: String, text: String) throws(RoomError) -> SendTime {
        let sendTime = try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let sendTime = state.history.nextSendTime(clock: clock())
            let (content, byteCount) = encode(Message(author: author, text: text, sendTime: sendTime))
            state.history.append(content, sendTime: sendTime, byteCount: byteCount)
            return sendTime
        }
        onChange()
        return sendTime
    }

    /// Begins to read: after a time, or after the latest message.
    func cursor(after time: SendTime? = nil) throws(RoomError) -> Cursor {
        if let store { return try cursor(after: time, store: store) }
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard let time else { return Cursor(position: state.history.latest, next: state.history.end) }
            return Cursor(position: time, next: try state.history.sequence(after: time, now: clock()))
        }
    }

    /// Begins to read with the messages that were accepted within the last `age`, as far as they are held.
    func cursor(acceptedWithin age: Duration) throws(RoomError) -> Cursor {
        if let store { return try cursor(acceptedWithin: age, store: store) }
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let position = state.history.position(at: .now - age) ?? state.history.heldAfter
            return Cursor(position: position, next: state.history.sequence(after: position))
        }
    }

    /// The next message of a reader, and whether there is another one already, or the end; `nil` if it has had all of them.
    /// - Throws: ``RoomError/closed`` in place of `nil` when there will be no more, and ``RoomError/onlyInStorage`` where
    ///   ``catchUp(_:limit:)`` has it.
    func next(_ cursor: Cursor) throws(RoomError) -> (message: Content, hasMore: Bool)? {
        guard store == nil else { return try nextInTail(cursor) }
        let sequence = cursor.sequence.load(ordering: .relaxed)
        return try state.withLock { state throws(RoomError) in
            guard let content = try state.history.content(at: sequence) else {
                guard !state.isClosed else { throw RoomError.closed }
                return nil
            }
            cursor.sequence.store(sequence + 1, ordering: .relaxed)
            return (content, state.hasMore(after: sequence))
        }
    }

    /// Accepts no more messages and no more readers; those that are there get ``RoomError/closed`` when they have read
    /// what there is.
    func close() {
        state.withLock { $0.isClosed = true }
        onChange()
    }
}
