import Messenger
import Redis
import Synchronization

/// How far a server has come in its room in Redis: what the threads of its store tell each other. Thread-safe.
final class RedisProgress: Sendable {
    private struct State {
        var watch: StreamWatch
        var heldAfter: SendTime
        var acknowledged: SendTime
        /// Acknowledged since the follower last asked.
        var newlyAcknowledged: [SendTime] = []
        var isClosed = false
    }

    /// Ends all connections of the store.
    let interrupt = RedisInterrupt()
    private let state: Mutex<State>

    /// Begins with all that there is.
    init(_ watch: StreamWatch, heldAfter: SendTime) {
        let latest = max(heldAfter, watch.last.time)
        state = Mutex(State(watch: watch, heldAfter: heldAfter, acknowledged: latest))
    }

    /// What has been seen of the stream. It is in the tail, or on its way there.
    var watch: StreamWatch { state.withLock { $0.watch } }
    /// Every message after this time is held.
    var heldAfter: SendTime { state.withLock { $0.heldAfter } }
    /// The latest time that a sender at this server was told.
    var acknowledged: SendTime { state.withLock { $0.acknowledged } }
    /// Whether nobody here adds anything more.
    var isClosed: Bool { state.withLock { $0.isClosed } }
    /// Whether there is nothing more to follow: also what was acknowledged last has been seen.
    var isOver: Bool { state.withLock { $0.isClosed && $0.watch.last.time >= $0.acknowledged } }

    func saw(_ watch: StreamWatch, heldAfter: SendTime) {
        state.withLock { state in
            state.watch = watch
            state.heldAfter = heldAfter
        }
    }

    func acknowledge(_ time: SendTime) {
        state.withLock { state in
            state.acknowledged = max(state.acknowledged, time)
            state.newlyAcknowledged.append(time)
        }
    }

    /// What senders at this server have been told since this was last asked: all of it is in the stream, or lost.
    func takeNewlyAcknowledged() -> [SendTime] {
        state.withLock { exchange(&$0.newlyAcknowledged, with: []) }
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}
