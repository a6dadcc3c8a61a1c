import GRPC
import Logging
import Messenger
import Redis
import Synchronization

/// A home in a stream of Redis's: several servers share one room.
///
/// Redis gives out the times, as IDs of the stream's entries, so they are the same on every server. A server's own
/// messages come to its tail like all others: from the stream. Three threads have a connection each: one adds what
/// waits, pipelined; one follows; one reads for those who have fallen behind memory.
final class RedisHome: HistoryHome {
    private struct State {
        var heldAfter: SendTime
        var acknowledged: SendTime
        var isClosed = false
        var followerHasEnded = true
        var waitingForFollower: [CheckedContinuation<Void, Never>] = []
    }

    private let address: RedisAddress
    private let logger: Logger
    private let state: Mutex<State>
    private let start: StreamWatch
    private let writer: BatchWorker<AppendJob>
    private let reader: BatchWorker<ReadJob>
    let latest: SendTime

    /// Connects. Blocks.
    init(_ address: RedisAddress, retention: Retention, logger: Logger) throws(StartError) {
        do {
            let stream = try RedisStream(address)
            try stream.begin()
            let snapshot = try stream.snapshot(after: .zero, atMost: 1)
            guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "it is being emptied") }
            start = StreamWatch(snapshot)
            latest = max(heldAfter, snapshot.last.time)
            state = Mutex(State(heldAfter: heldAfter, acknowledged: latest))
            let adder = Mutex(RedisAdder(address, retention: retention, outages: Outages(logger: logger)))
            writer = try BatchWorker(
                named: "history-writer",
                limit: AppendJob.limit,
                tick: retention.age == nil ? nil : .seconds(1)
            ) { jobs in adder.withLock { $0.add(jobs) } }
            let source = Mutex(RedisReader(address))
            reader = try BatchWorker(named: "history-reader", limit: ReadJob.limit) { reads in
                source.withLock { $0.serve(reads) }
            }
        } catch {
            throw StartError(.unavailable, "Cannot use the history at \(address.description): \(error)")
        }
        self.address = address
        self.logger = logger
    }

    var heldAfter: SendTime { state.withLock { $0.heldAfter } }
    var acknowledged: SendTime { state.withLock { $0.acknowledged } }
    /// Times are given out by Redis's clock. Small: a reader whose own clock is ahead, and who begins with that, gets nothing
    /// until Redis's has caught up.
    var clockTolerance: Duration { .seconds(2) }

    func follow(into tail: HistoryTail) throws(StartError) {
        let follower = RedisFollower(
            address: address,
            tail: tail,
            logger: logger,
            acknowledged: { [self] in acknowledged },
            holds: { [self] time in state.withLock { $0.heldAfter = time } },
            isClosed: { [self] in state.withLock { $0.isClosed } }
        )
        state.withLock { $0.followerHasEnded = false }
        do {
            try Thread.start(named: "history-follow") { [self] in
                follower.run(from: start)
                let waiting = state.withLock { state in
                    state.followerHasEnded = true
                    return state.waitingForFollower
                }
                for continuation in waiting { continuation.resume() }
            }
        } catch {
            throw StartError(.unavailable, "Cannot follow the history: \(error)")
        }
    }

    func append(author: String, text: String, completion: @escaping AppendCompletion) {
        writer.append(author: author, text: text) { [self] result in
            if case .success(let time) = result {
                state.withLock { $0.acknowledged = max($0.acknowledged, time) }
            }
            completion(result)
        }
    }

    func read(after time: SendTime, atMost count: Int) async throws(HomeError) -> HistoryPage {
        try await reader.read(after: time, atMost: count)
    }

    func close() async {
        await writer.close()
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                state.isClosed = true
                if !state.followerHasEnded { state.waitingForFollower.append(continuation) }
                return state.followerHasEnded
            }
            if hasEnded { continuation.resume() }
        }
        await reader.close()
    }
}
