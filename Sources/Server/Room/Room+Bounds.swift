import Messenger
import Synchronization

/// Where a reader ends, if it does not follow the room until it leaves. Only for its reader.
final class ReadEnd: Sendable {
    /// The reader ends after the message with this time.
    private let time: SendTime
    /// How many more messages the reader wants.
    private let remaining: Atomic<Int>

    init(time: SendTime?, limit: Int?) {
        self.time = time ?? SendTime(nanosecondsSinceEpoch: .max)
        remaining = Atomic(limit ?? .max)
    }

    /// Whether the reader has everything, if its last message has this time.
    func isReached(at last: SendTime) -> Bool { remaining.load(ordering: .relaxed) <= 0 || last >= time }

    /// Counts a message for the reader. `false` if the reader does not want it.
    func take(_ sendTime: SendTime) -> Bool {
        guard sendTime <= time else { return false }
        return remaining.subtract(1, ordering: .relaxed).oldValue > 0
    }
}

extension Room {
    /// As ``next(_:)``, and throws ``RoomError/complete`` at the end.
    func next(_ cursor: Cursor, until end: ReadEnd?) throws(RoomError) -> Content? {
        guard let end else { return try nextHeld(cursor) }
        guard !end.isReached(at: cursor.last) else { throw .complete }
        guard let message = try nextHeld(cursor) else { return nil }
        guard end.take(cursor.last) else { throw .complete }
        return message
    }

    /// As ``next(_:)``, for cursors that may begin later, too.
    private func nextHeld(_ cursor: Cursor) throws(RoomError) -> Content? {
        while true {
            do throws(RoomError) {
                guard let next = try next(cursor) else { return nil }
                if cursor.mayBeginLater.load(ordering: .relaxed) {
                    cursor.mayBeginLater.store(false, ordering: .relaxed)
                }
                return next
            } catch {
                guard beginLater(cursor, error) else { throw error }
            }
        }
    }

    /// Moves a cursor to the oldest message that is held. `false` if it must not move.
    func beginLater(_ cursor: Cursor, _ error: RoomError) -> Bool {
        guard case .noLongerHeld(let heldAfter) = error, cursor.mayBeginLater.load(ordering: .relaxed) else {
            return false
        }
        cursor.last = heldAfter
        let next = store == nil ? state.withLock { $0.history.firstSequence } : -1
        cursor.sequence.store(next, ordering: .relaxed)
        return true
    }

    /// A cursor before the latest messages, as many as are wanted and held. In a room without a store.
    func cursor(last count: Int) throws(RoomError) -> Cursor {
        try state.withLock { state throws(RoomError) in
            guard !state.isClosed else { throw RoomError.closed }
            let position = state.history.position(beforeLast: count) ?? state.history.heldAfter
            return Cursor(position: position, next: state.history.sequence(after: position), mayBeginLater: true)
        }
    }

    /// A cursor before the latest messages, as many as are wanted and stored, up to ``maxLastInStorage``.
    func cursor(last count: Int, store: any HistoryStore) async throws(RoomError) -> Cursor {
        // The latest messages of other servers may not be in the tail yet.
        let latest = store.isShared ? try await position(beforeLast: 0, store: store) : nil
        let (inTail, isClosed) = state.withLock { state in
            let isComplete = latest.map { $0 <= state.history.latest } ?? true
            return (isComplete ? state.history.position(beforeLast: count) : nil, state.isClosed)
        }
        guard !isClosed else { throw .closed }
        if let inTail { return Cursor(position: inTail, next: nil, mayBeginLater: true) }
        let position = try await position(beforeLast: min(count, maxLastInStorage), store: store)
        return Cursor(position: position, next: nil, mayBeginLater: true)
    }

    /// Storage has no index by number: to find the beginning of the latest messages costs as much as to read them, in
    /// Redis also on the network. This keeps what a request can cost small.
    private var maxLastInStorage: Int { store?.isShared == true ? 1_000 : 10_000 }

    /// The time of the last message that the room holds. In a room without a store.
    var latest: SendTime { state.withLock { $0.history.latest } }

    /// The time of the last message that the room holds. It may still be on its way into the tail.
    func latest(store: any HistoryStore) async throws(RoomError) -> SendTime {
        max(latest, try await position(beforeLast: 0, store: store))
    }

    private func position(beforeLast count: Int, store: any HistoryStore) async throws(RoomError) -> SendTime {
        do {
            return try await store.position(beforeLast: count)
        } catch {
            throw RoomError(error)
        }
    }
}
