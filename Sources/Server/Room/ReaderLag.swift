import Messenger
import Synchronization

extension Room {
    /// The cursors of the streams that are open, to find the slowest. A stream's end costs nothing: a cursor that nobody
    /// else holds is dropped later. Thread-safe.
    final class OpenCursors: Sendable {
        private struct State {
            var cursors: [Cursor] = []
            /// When so many are here, those that nobody else holds are dropped.
            var pruneCount = OpenCursors.minPruneCount
        }

        private static var minPruneCount: Int { 64 }

        private let state = Mutex(State())

        /// How many are held, those of streams that have ended included.
        var count: Int { state.withLock(\.cursors.count) }

        func add(_ cursor: Cursor) {
            state.withLock { state in
                if state.cursors.count >= state.pruneCount {
                    Self.prune(&state.cursors)
                    state.pruneCount = max(Self.minPruneCount, 2 * state.cursors.count)
                }
                state.cursors.append(cursor)
            }
        }

        /// The cursor that is furthest back of those with a sequence number, and of the others.
        fileprivate func slowest() -> (Cursor?, inStorage: Cursor?) {
            state.withLock { state in
                Self.prune(&state.cursors)
                var slowest: (sequence: Int, cursor: Cursor)?
                var inStorage: (time: Int64, cursor: Cursor)?
                for cursor in state.cursors {
                    let sequence = cursor.sequence.load(ordering: .relaxed)
                    if sequence >= 0 {
                        if sequence < slowest?.sequence ?? .max { slowest = (sequence, cursor) }
                    } else {
                        let time = cursor.lastTime.load(ordering: .relaxed)
                        if time < inStorage?.time ?? .max { inStorage = (time, cursor) }
                    }
                }
                return (slowest?.cursor, inStorage?.cursor)
            }
        }

        private static func prune(_ cursors: inout [Cursor]) {
            var index = 0
            while index < cursors.count {
                if isKnownUniquelyReferenced(&cursors[index]) {
                    cursors.swapAt(index, cursors.count - 1)
                    cursors.removeLast()
                } else {
                    index += 1
                }
            }
        }
    }

    /// How far a reader is behind.
    struct Lag: Equatable {
        /// Messages that it has not taken, as far as memory holds them.
        var messages = 0
        /// How long ago the first of them was sent; if the reader needs earlier ones, how long ago its last one was.
        var duration = Duration.zero
    }

    /// The lag of the slowest reader. What a stream's connection has taken counts as read.
    func lag(of cursors: OpenCursors) -> Lag {
        let (slowest, inStorage) = cursors.slowest()
        let now = clock()
        return state.withLock { state in
            var most = Lag()
            for cursor in [slowest, inStorage].compactMap(\.self) {
                let lag = lag(of: cursor, in: state.history, now: now)
                most.messages = max(most.messages, lag.messages)
                most.duration = max(most.duration, lag.duration)
            }
            return most
        }
    }

    private func lag(of cursor: Cursor, in history: History<Content>, now: SendTime) -> Lag {
        let last = cursor.last
        var next = cursor.sequence.load(ordering: .relaxed)
        if next < 0, last >= history.heldAfter { next = history.sequence(after: last) }
        guard next < history.end else { return Lag() }
        let isInMemory = next >= history.firstSequence
        let since = isInMemory ? history.sendTime(at: next) : last
        return Lag(
            messages: history.end - (isInMemory ? next : history.firstSequence),
            duration: .nanoseconds(max(0, now.nanosecondsSinceEpoch - since.nanosecondsSinceEpoch))
        )
    }
}
