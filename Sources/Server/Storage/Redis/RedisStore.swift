import GRPC
import Logging
import Messenger
import Redis
import Synchronization

/// A store in a stream of Redis's: several servers share one room.
///
/// Redis gives out the times, as IDs of the stream's entries, so they are the same on every server. A server's own
/// messages come to its tail like all others: from the stream. Three threads have a connection each: one adds what
/// waits, pipelined; one follows; one reads for those who have fallen behind memory.
final class RedisStore: HistoryStore {
    private struct Follower {
        var hasEnded = true
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let host: RedisHost
    private let logger: Logger
    private let progress: RedisProgress
    private let follower = Mutex(Follower())
    private let writer: BatchWorker<AppendJob>
    private let reader: BatchWorker<ReadJob>
    let latest: SendTime

    /// How long Redis may take for what waits for it at the end. With the calls' grace it has to be less than what those who
    /// stop a container allow, mostly ten seconds.
    private static let closingPatience = Duration.seconds(2)

    /// Connects. Blocks.
    init(_ address: RedisAddress, retention: RetentionPolicy, logger: Logger) throws(StartError) {
        let host = RedisHost(address)
        do {
            let stream = try RedisStream(at: host)
            let snapshot = try stream.begun()
            guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "it is being emptied") }
            let progress = RedisProgress(StreamWatch(snapshot), heldAfter: heldAfter)
            self.progress = progress
            latest = progress.acknowledged
            // A Redis that refuses to be written to says so to senders.
            try? stream.trim(toMost: retention.maxMessages)
            let failureLog = FailureLog(logger: logger)
            var connected = RedisAdder(
                host,
                retention: retention,
                latest: try RetentionClock.trustedStart(
                    latest: latest,
                    age: retention.maxAge,
                    neighbors: stream.neighbors
                ),
                failureLog: failureLog,
                interrupt: progress.interrupt
            )
            try connected.connect()
            let adder = Mutex(connected)
            writer = try BatchWorker(
                named: "history-writer",
                limit: AppendJob.queueLimit,
                tick: retention.maxAge == nil ? nil : .seconds(1)
            ) { jobs in adder.withLock { $0.add(jobs) } }
            let source = Mutex(RedisReader(host, progress))
            reader = try BatchWorker(named: "history-reader", limit: ReadJob.queueLimit) { reads in
                source.withLock { $0.serve(reads) }
            }
        } catch {
            let advice = (error as? RedisError)?.advice.map { ". \($0)" } ?? ""
            throw StartError(.unavailable, "Cannot use the history at \(address.description): \(error)\(advice)")
        }
        self.host = host
        self.logger = logger
    }

    var heldAfter: SendTime { progress.heldAfter }
    var lastAcknowledged: SendTime { progress.acknowledged }
    /// Times are given out by Redis's clock. Small: a reader whose own clock is ahead, and who begins with that, gets nothing
    /// until Redis's has caught up.
    var maxClockSkew: Duration { .seconds(2) }

    func follow(into tail: HistoryTail) throws(StartError) {
        let initial = RedisFollower(host: host, tail: tail, progress: progress, logger: logger)
        follower.withLock { $0.hasEnded = false }
        do {
            try Thread.start(named: "history-follow") { [self] in
                var work = initial
                work.run()
                let waiting = follower.withLock { follower in
                    follower.hasEnded = true
                    return follower.waitingForEnd
                }
                for continuation in waiting { continuation.resume() }
            }
        } catch {
            throw StartError(.unavailable, "Cannot follow the history: \(error)")
        }
    }

    func append(author: String, text: String, completion: @escaping AppendCompletion) {
        writer.append(author: author, text: text) { [self] result in
            if case .success(let time) = result { progress.acknowledge(time) }
            completion(result)
        }
    }

    func read(after time: SendTime, limit: HistoryPage.Limit) async throws(StorageError) -> HistoryPage {
        try await reader.read(after: time, limit: limit)
    }

    func close() async {
        if await finishes(within: Self.closingPatience, { [self] in await closeInOrder() }) { return }
        logger.warning("Redis does not answer: what waits for it is given up")
        progress.interrupt.trigger()
        // Who is connecting at that moment notices it later, and is left alone.
        _ = await finishes(within: .milliseconds(500)) { [self] in await closeInOrder() }
    }

    private func closeInOrder() async {
        await writer.close()
        progress.close()
        await withCheckedContinuation { continuation in
            let hasEnded = follower.withLock { follower in
                if !follower.hasEnded { follower.waitingForEnd.append(continuation) }
                return follower.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        await reader.close()
    }
}

extension RedisError {
    /// What an operator can do about it at a start.
    fileprivate var advice: String? {
        switch code {
        case "WRONGTYPE": "The key, or KEY:begun, holds something else than a room: choose another key."
        case "NOAUTH": "Redis wants a user or a password: redis://USER:PASSWORD@HOST/KEY."
        case "NOPERM": "docs/scaling.md lists the rights that the user needs."
        case "READONLY": "This is a replica: start a server at the primary first."
        case "MOVED", "CROSSSLOT", "CLUSTERDOWN": "Redis Cluster is not supported: a room is in one Redis."
        default: nil
        }
    }
}
