import Messenger
import Synchronization

/// The room: accepts messages in one order, and lets any number of readers follow at their own pace.
///
/// A reader is a ``Cursor`` into the room's history. What it has not read costs nothing, and nobody waits for it. A
/// reader whose next message was dropped from the history gets an error, never a gap.
///
/// `Content` is what readers receive. It is encoded once, when the message is accepted. Thread-safe.
final class Room<Content: Sendable>: Sendable {
    /// A reader's position in the history. Only its reader moves it.
    final class Cursor: Sendable {
        /// The time after which the reader began.
        let position: SendTime
        /// The sequence number of the next message; -1 if it has to be searched first, in a room with a store.
        let sequence: Atomic<Int>
        /// The time of the last message that was read, in nanoseconds. At first the ``position``.
        let lastTime: Atomic<Int64>
        /// Whether the reader wants the latest messages that are held, and has read none. If the oldest of them are
        /// dropped meanwhile, it begins later.
        let mayBeginLater: Atomic<Bool>

        init(position: SendTime, next: Int?, mayBeginLater: Bool = false) {
            self.mayBeginLater = Atomic(mayBeginLater)
            self.position = position
            sequence = Atomic(next ?? -1)
            lastTime = Atomic(position.nanosecondsSinceEpoch)
        }

        var last: SendTime {
            get { SendTime(nanosecondsSinceEpoch: lastTime.load(ordering: .relaxed)) }
            set { lastTime.store(newValue.nanosecondsSinceEpoch, ordering: .relaxed) }
        }
    }

    /// Returns what readers receive for a message, and its size in bytes.
    typealias Encode = @Sendable (Message) -> (content: Content, byteCount: Int)

    /// Stores messages beyond memory; `nil` for a room in memory only.
    let store: (any HistoryStore)?
    let state: Mutex<State>
    /// The sequence number after the last message; `Int.max` once the room is closed. A reader at the end needs no lock.
    private let end: Atomic<Int>
    let clock: @Sendable () -> SendTime
    let encode: Encode
    let onChange: @Sendable () -> Void

    struct State: Sendable {
        var history: History<Content>
        /// Only without a store, which has its own.
        var keys: IdempotencyKeys
        var isClosed = false
    }

    /// - Parameters:
    ///   - limits: How much the history holds.
    ///   - keys: How long the keys of messages are remembered, without a store.
    ///   - start: The time of the last message in the store. Without a store, now.
    ///   - clock: The wall clock. It may step back; send times do not.
    ///   - onChange: Called on any thread, when readers have something to read: a message or the end.
    init(
        limits: History<Content>.Limits,
        keys: IdempotencyKeys.Limits = .init(),
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
        let history = History<Content>(limits: limits, start: start ?? clock())
        end = Atomic(history.end)
        state = Mutex(State(history: history, keys: IdempotencyKeys(limits: keys)))
    }

    /// Accepts a message. When this returns, the message is in the history.
    /// - Returns: Its time, later than that of any message before. If it was accepted before under its key, the time that
    ///   it got then.
    /// - Throws: ``RoomError/closed`` or ``RoomError/keyIsTaken``. Then the message is not in the history.
    func append(_ message: NewMessage) throws(RoomError) -> SendTime {
        let now = MonotonicClock.now
        let hashes = message.key.map { IdempotencyKeys.Hashes(message, under: $0) }
        let (sendTime, isNew) = try change { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let sendTime = state.history.nextSendTime(clock: clock())
            if let hashes, let known = try state.keys.insert(hashes, sendTime, at: now) { return (known, false) }
            let (content, byteCount) = encode(Message(message, sendTime: sendTime))
            state.history.append(content, sendTime: sendTime, byteCount: byteCount, at: now)
            return (sendTime, true)
        }
        if isNew { onChange() }
        return sendTime
    }

    /// A cursor after a time, or after the latest message.
    func cursor(after time: SendTime? = nil) throws(RoomError) -> Cursor {
        if let store { return try cursor(after: time, store: store) }
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard let time else { return Cursor(position: state.history.latest, next: state.history.end) }
            return Cursor(position: time, next: try state.history.sequence(after: time, now: clock()))
        }
    }

    /// A cursor at the messages accepted within the last `age`, as far as they are held.
    func cursor(acceptedWithin age: Duration) throws(RoomError) -> Cursor {
        if let store { return try cursor(acceptedWithin: age, store: store) }
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let position = state.history.position(at: MonotonicClock.now - age) ?? state.history.heldAfter
            return Cursor(position: position, next: state.history.sequence(after: position))
        }
    }

    /// A reader's next message; `nil` if there is none yet.
    /// - Throws: ``RoomError/closed`` instead of `nil` at the end, and ``RoomError/onlyInStorage`` if the reader needs
    ///   ``catchUp(_:limit:)``.
    func next(_ cursor: Cursor) throws(RoomError) -> Content? {
        guard store == nil else { return try nextInTail(cursor) }
        let sequence = cursor.sequence.load(ordering: .relaxed)
        guard !isAtEnd(sequence) else { return nil }
        return try state.withLock { state throws(RoomError) in
            guard let (content, sendTime) = try state.history.message(at: sequence) else {
                guard !state.isClosed else { throw RoomError.closed }
                return nil
            }
            cursor.sequence.store(sequence + 1, ordering: .relaxed)
            cursor.last = sendTime
            return content
        }
    }

    /// Accepts no more messages and readers. Existing readers get ``RoomError/closed`` after the last message.
    func close() {
        change { $0.isClosed = true }
        onChange()
    }

    /// Changes what readers can read.
    func change<Result, Failure: Error>(
        _ body: (inout State) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try state.withLock { state throws(Failure) in
            defer { end.store(state.isClosed ? .max : state.history.end, ordering: .releasing) }
            return try body(&state)
        }
    }

    /// Whether a reader has read all messages before this sequence number, and there are no more.
    func isAtEnd(_ sequence: Int) -> Bool { sequence >= end.load(ordering: .acquiring) }
}

/// Why the room refuses a message or a reader.
enum RoomError: Error, Equatable {
    /// Some messages that the reader has not received are no longer held, only those after this time.
    case noLongerHeld(heldAfter: SendTime)
    /// No message can have the time after which the reader wants to begin.
    case inTheFuture
    /// The reader's next message is no longer in memory, but in the room's store.
    case onlyInStorage
    /// The storage has no space for the message. It was not stored.
    case full(StorageError.Reason)
    /// The storage cannot be used now.
    case unavailable(StorageError.Reason)
    /// Another message was accepted under the message's key.
    case keyIsTaken
    /// The reader has all that it wanted.
    case complete
    /// The room accepts no more messages and readers.
    case closed

    init(_ error: StorageError) {
        switch error {
        case .noLongerHeld(let heldAfter): self = .noLongerHeld(heldAfter: heldAfter)
        case .full(let reason): self = .full(reason)
        case .unavailable(let reason): self = .unavailable(reason)
        case .keyIsTaken: self = .keyIsTaken
        case .closed: self = .closed
        }
    }
}
