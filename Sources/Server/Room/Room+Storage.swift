import Messenger
import Synchronization

// A room with a store. Readers follow the same tail in memory as without one. A reader's position is its last time. Its
// sequence number is looked up when it is in the tail.

extension Room {
    /// The store's access to this room.
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
        change { state in
            let now = MonotonicClock.now
            for (sendTime, (content, byteCount)) in encoded {
                state.history.append(content, sendTime: sendTime, byteCount: byteCount, at: now)
            }
        }
        onChange()
    }

    func reset(heldAfter: SendTime) {
        change { $0.history.reset(heldAfter: heldAfter) }
        onChange()
    }
}

extension Room {
    /// A cursor after a time, or after the latest message that is in the tail or acknowledged.
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

    /// A cursor after a time. It may be before the tail, or after the tail's end while earlier messages are still being
    /// stored.
    private func cursor(after time: SendTime, store: any HistoryStore) throws(RoomError) -> Cursor {
        let now = clock().nanosecondsSinceEpoch
        let latestPossible = SendTime(nanosecondsSinceEpoch: now + Int64(store.maxClockSkew / .nanoseconds(1)))
        let heldAfter = store.heldAfter
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard time >= min(heldAfter, state.history.heldAfter) else { throw .noLongerHeld(heldAfter: heldAfter) }
            guard time <= max(state.history.floor, latestPossible) else { throw .inTheFuture }
            state.history.raiseFloor(to: time)
            return Cursor(position: time, next: nil)
        }
    }

    /// ``cursor(acceptedWithin:)`` in a room with a store.
    func cursor(acceptedWithin age: Duration, store: any HistoryStore) throws(RoomError) -> Cursor {
        let start = MonotonicClock.now - age
        let now = clock()
        let heldAfter = store.heldAfter
        let maxClockSkew = store.maxClockSkew
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let tailHeldAfter = state.history.heldAfter
            var position: SendTime
            if let known = state.history.position(at: start) {
                position = known
                // Messages of other servers may have arrived late.
                if maxClockSkew > .zero {
                    position = max(position, min(state.history.latest, now - (age + maxClockSkew)))
                }
            } else {
                // If the clock was set back, it cannot tell what was accepted since.
                position = tailHeldAfter <= now ? min(tailHeldAfter, max(heldAfter, now - age)) : tailHeldAfter
            }
            return Cursor(position: position, next: nil)
        }
    }

    /// The next messages from the store, for a reader that has fallen behind the tail; `nil` once it is in the tail.
    ///
    /// - Parameter end: The messages after it are left out.
    func catchUp(
        _ cursor: Cursor,
        until end: ReadEnd? = nil,
        limit: HistoryPage.Limit
    ) async throws(RoomError) -> [Content]? {
        guard let store else { return nil }
        let last = cursor.last
        guard end?.isReached(at: last) != true else { return nil }
        // Memory costs less than the store.
        guard state.withLock({ last < $0.history.heldAfter }) else { return nil }
        let page: HistoryPage
        do {
            page = try await store.read(after: last, limit: limit)
        } catch {
            let error = RoomError(error)
            if beginLater(cursor, error) { return [] }
            throw error
        }
        // The tail has dropped messages after `last`. If the store has none, they are lost.
        guard page.upTo > last else {
            throw .noLongerHeld(heldAfter: state.withLock { $0.history.heldAfter })
        }
        cursor.last = page.upTo
        cursor.mayBeginLater.store(false, ordering: .relaxed)
        guard let end else { return page.messages.map { encode($0).content } }
        return page.messages.filter { end.take($0.sendTime) }.map { encode($0).content }
    }

    /// ``next(_:)`` in a room with a store.
    func nextInTail(_ cursor: Cursor) throws(RoomError) -> Content? {
        guard cursor.next.map(isAtEnd) != true else { return nil }
        return try state.withLock { state throws(RoomError) in
            let sequence: Int
            if let known = cursor.next {
                sequence = known
            } else if let found = try Self.sequence(after: cursor.last, in: state) {
                sequence = found
            } else {
                return nil
            }
            guard sequence >= state.history.firstSequence else {
                cursor.next = nil
                throw .onlyInStorage
            }
            guard let (content, sendTime) = try state.history.message(at: sequence) else {
                guard !state.isClosed else { throw .closed }
                return nil
            }
            cursor.next = sequence + 1
            cursor.last = sendTime
            return content
        }
    }

    /// The sequence number of the first message after a time; `nil` if the tail does not reach that time yet.
    private static func sequence(after time: SendTime, in state: borrowing State) throws(RoomError) -> Int? {
        guard time >= state.history.heldAfter else { throw .onlyInStorage }
        if time <= state.history.latest { return state.history.sequence(after: time) }
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
}

extension SendTime {
    fileprivate static func - (time: SendTime, duration: Duration) -> SendTime {
        SendTime(nanosecondsSinceEpoch: time.nanosecondsSinceEpoch - Int64(duration / .nanoseconds(1)))
    }
}
