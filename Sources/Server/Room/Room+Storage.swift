import Messenger
import Synchronization

// A room whose messages have a store beyond memory. Its readers follow the same tail as without one; a reader whose place
// is not in the tail is looked up by time, there or in the store.

extension Room {
    /// What its store sees of it.
    var tail: HistoryTail {
        HistoryTail(
            reserve: { [self] in reserve($0) },
            publish: { [self] in publish($0) },
            reset: { [self] in reset(heldAfter: $0) }
        )
    }

    func reserve(_ count: Int) -> [SendTime] {
        state.withLock { state in (0..<count).map { _ in state.history.reserve(clock: clock()) } }
    }

    func publish(_ messages: [Message]) {
        let encoded = messages.map { ($0.sendTime, encode($0)) }
        state.withLock { state in
            let now = ContinuousClock.now
            for (sendTime, (content, byteCount)) in encoded {
                state.history.append(content, sendTime: sendTime, byteCount: byteCount, at: now)
            }
        }
        onChange()
    }

    func reset(heldAfter: SendTime) {
        state.withLock { $0.history.reset(heldAfter: heldAfter) }
        onChange()
    }
}

extension Room {
    /// Begins to read after a time, or after the latest message that is in the tail or acknowledged.
    func cursor(after time: SendTime?, store: any HistoryStore) throws(RoomError) -> Cursor {
        if let time { return try cursor(after: time, store: store) }
        let acknowledged = store.lastAcknowledged
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let latest = state.history.latest
            guard acknowledged > latest else { return Cursor(position: latest, next: state.history.end) }
            return Cursor(position: acknowledged, next: nil)
        }
    }

    /// Begins to read after a time, which may be before the tail, or later than its end while messages that are earlier
    /// still are on their way to the store.
    private func cursor(after time: SendTime, store: any HistoryStore) throws(RoomError) -> Cursor {
        let now = clock().nanosecondsSinceEpoch
        let horizon = SendTime(nanosecondsSinceEpoch: now + Int64(store.maxClockSkew / .nanoseconds(1)))
        let heldAfter = store.heldAfter
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard time >= min(heldAfter, state.history.heldAfter) else { throw .noLongerHeld(heldAfter: heldAfter) }
            guard time <= max(state.history.floor, horizon) else { throw .inTheFuture }
            state.history.raiseFloor(to: time)
            return Cursor(position: time, next: nil)
        }
    }

    /// ``cursor(acceptedWithin:)`` in a room with a store.
    func cursor(acceptedWithin age: Duration, store: any HistoryStore) throws(RoomError) -> Cursor {
        let start = ContinuousClock.now - age
        let now = clock()
        let heldAfter = store.heldAfter
        let tolerance = store.maxClockSkew
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let tail = state.history.heldAfter
            var position: SendTime
            if let known = state.history.position(at: start) {
                position = known
                // What other servers accepted may have come late.
                if tolerance > .zero { position = max(position, min(state.history.latest, now - (age + tolerance))) }
            } else {
                // A clock that has been set back says nothing about what was accepted before.
                position = tail <= now ? min(tail, max(heldAfter, now - age)) : tail
            }
            return Cursor(position: position, next: nil)
        }
    }

    /// The next messages of a reader that has fallen behind the tail, if any; `nil` when it is in the tail again.
    func catchUp(_ cursor: Cursor, limit: HistoryPage.Limit) async throws(RoomError) -> [Content]? {
        guard let store else { return nil }
        let last = cursor.last
        // At the moment when it is there, it goes on there: memory costs less than the store.
        guard state.withLock({ last < $0.history.heldAfter }) else { return nil }
        let page: HistoryPage
        do {
            page = try await store.read(after: last, limit: limit)
        } catch {
            throw RoomError(error)
        }
        // The tail has let go of messages after `last`: a store without them has lost them.
        guard page.upTo > last else {
            throw .noLongerHeld(heldAfter: state.withLock { $0.history.heldAfter })
        }
        cursor.last = page.upTo
        return page.messages.map { encode($0).content }
    }

    /// ``next(_:)`` in a room with a store.
    func nextInTail(_ cursor: Cursor) throws(RoomError) -> (message: Content, hasMore: Bool)? {
        try state.withLock { state throws(RoomError) in
            let sequence: Int
            if let known = cursor.next {
                sequence = known
            } else if let found = try Self.find(cursor.last, in: state) {
                sequence = found
            } else {
                return nil
            }
            guard sequence >= state.history.firstSequence else {
                cursor.next = nil
                throw .onlyInStorage
            }
            guard let content = try state.history.content(at: sequence) else {
                guard !state.isClosed else { throw .closed }
                return nil
            }
            cursor.next = sequence + 1
            cursor.last = state.history.sendTime(at: sequence)
            return (content, state.hasMore(after: sequence))
        }
    }

    /// The sequence number of the first message after a time; `nil` where there is none yet.
    private static func find(_ last: SendTime, in state: borrowing State) throws(RoomError) -> Int? {
        guard last >= state.history.heldAfter else { throw .onlyInStorage }
        if last <= state.history.latest { return state.history.sequence(after: last) }
        guard !state.isClosed else { throw .closed }
        return nil
    }
}

extension Room.Cursor {
    fileprivate var next: Int? {
        get {
            let next = sequence.load(ordering: .relaxed)
            return next < 0 ? nil : next
        }
        set { sequence.store(newValue ?? -1, ordering: .relaxed) }
    }

    fileprivate var last: SendTime {
        get { SendTime(nanosecondsSinceEpoch: lastTime.load(ordering: .relaxed)) }
        set { lastTime.store(newValue.nanosecondsSinceEpoch, ordering: .relaxed) }
    }
}

extension SendTime {
    fileprivate static func - (time: SendTime, duration: Duration) -> SendTime {
        SendTime(nanosecondsSinceEpoch: time.nanosecondsSinceEpoch - Int64(duration / .nanoseconds(1)))
    }
}

extension RoomError {
    init(_ error: StorageError) {
        switch error {
        case .noLongerHeld(let heldAfter): self = .noLongerHeld(heldAfter: heldAfter)
        case .full(let reason): self = .full(reason)
        case .unavailable(let reason): self = .unavailable(reason)
        case .closed: self = .closed
        }
    }
}
