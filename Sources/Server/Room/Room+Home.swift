import Messenger
import Synchronization

// A room whose messages have a home beyond memory. Its readers follow the same tail as without one; a reader whose place
// is not in the tail is looked up by time, there or in the home.

extension Room: HistoryTail {
    func reserve(_ count: Int) -> [SendTime] {
        state.withLock { state in (0..<count).map { _ in state.history.reserve(clock: clock()) } }
    }

    func publish(_ messages: [Message]) {
        let encoded = messages.map { ($0.sendTime, encode($0)) }
        let bells = state.withLock { state in
            for (sendTime, (content, byteCount)) in encoded {
                state.history.append(content, sendTime: sendTime, byteCount: byteCount)
            }
            return state.bells.takeAll()
        }
        for bell in bells { bell.ring() }
    }

    func restart(heldAfter: SendTime) {
        let bells = state.withLock { state in
            state.history.restart(heldAfter: heldAfter)
            return state.bells.takeAll()
        }
        for bell in bells { bell.ring() }
    }
}

extension Room {
    /// Accepts a message into the home: when this returns, it is kept.
    ///
    /// Like ``append(author:text:)``, which is for a room without a home and does not suspend.
    func append(author: String, text: String, home: any HistoryHome) async throws(RoomError) -> SendTime {
        do {
            return try await home.append(author: author, text: text)
        } catch {
            throw RoomError(error)
        }
    }

    /// Begins to read after a time, or after the latest message that is in the tail or acknowledged.
    func cursor(after time: SendTime?, home: any HistoryHome) throws(RoomError) -> Cursor {
        if let time { return try cursor(after: time, home: home) }
        let acknowledged = home.acknowledged
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let latest = state.history.latest
            guard acknowledged > latest else { return Cursor(position: latest, next: state.history.end) }
            return Cursor(position: acknowledged, next: 0, isLookedUp: true)
        }
    }

    /// Begins to read after a time, which may be before the tail, or later than its end while messages that are earlier
    /// still are on their way to the home.
    private func cursor(after time: SendTime, home: any HistoryHome) throws(RoomError) -> Cursor {
        let now = clock().nanosecondsSinceEpoch
        let horizon = SendTime(nanosecondsSinceEpoch: now + Int64(home.clockTolerance / .nanoseconds(1)))
        let heldAfter = home.heldAfter
        return try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            guard time >= min(heldAfter, state.history.heldAfter) else { throw .noLongerHeld(heldAfter: heldAfter) }
            guard time <= max(state.history.floor, horizon) else { throw .inTheFuture }
            state.history.raiseFloor(to: time)
            return Cursor(position: time, next: 0, isLookedUp: true)
        }
    }

    /// Where a reader goes on that is looked up by the time of its last message.
    private enum Place {
        case tail(sequence: Int)
        case home(any HistoryHome)
        /// There is nothing for it yet.
        case end
    }

    /// Brings a cursor to its place in the tail, or reads its next messages from the home.
    /// - Returns: The messages; `nil` when the cursor is in the tail.
    func lookUp(_ cursor: inout Cursor, atMost count: Int) async throws(RoomError) -> [Content]? {
        while true {
            let (last, bell) = (cursor.last, cursor.bell)
            let place = try state.withLock { state throws(RoomError) in
                try Self.place(after: last, in: &state, home: home, bell)
            }
            switch place {
            case .tail(let sequence):
                cursor.next = sequence
                cursor.isLookedUp = false
                return nil
            case .end:
                guard await bell.wait() else { throw RoomError.cancelled }
            case .home(let home):
                let messages = try await read(from: home, after: last, atMost: count)
                if let latest = messages.last?.sendTime { cursor.last = latest }
                return messages.map { encode($0).content }
            }
        }
    }

    private static func place(
        after last: SendTime,
        in state: inout State,
        home: (any HistoryHome)?,
        _ bell: Bell
    ) throws(RoomError) -> Place {
        if last < state.history.heldAfter {
            guard let home else { throw .noLongerHeld(heldAfter: state.history.heldAfter) }
            return .home(home)
        }
        if last <= state.history.latest { return .tail(sequence: state.history.sequence(after: last)) }
        guard !state.isClosed else { throw .closed }
        state.bells.add(bell)
        return .end
    }

    private func read(
        from home: any HistoryHome,
        after time: SendTime,
        atMost count: Int
    ) async throws(RoomError) -> [Message] {
        let messages: [Message]
        do {
            messages = try await home.read(after: time, atMost: count)
        } catch {
            throw RoomError(error)
        }
        // The tail has let go of messages after `time`: a home without them has lost them.
        guard !messages.isEmpty else { throw .noLongerHeld(heldAfter: state.withLock { $0.history.heldAfter }) }
        return messages
    }
}

extension RoomError {
    init(_ error: HomeError) {
        switch error {
        case .noLongerHeld(let heldAfter): self = .noLongerHeld(heldAfter: heldAfter)
        case .full(let reason): self = .full(reason)
        case .unavailable(let reason): self = .unavailable(reason)
        case .closed: self = .closed
        }
    }
}
