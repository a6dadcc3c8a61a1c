import LibGRPC
import Logging
import Messenger
import Redis
import Synchronization

/// Stores the history in a Redis stream, which several servers can share.
///
/// Redis assigns the times, as IDs of the stream's entries, so they are the same on every server. A server receives its
/// own messages as all others: from the stream. Three threads have one connection each. The writer adds messages in a
/// pipeline, the consumer follows the stream, and the reader serves readers that have fallen behind memory.
final class RedisStore: HistoryStore {
    private let host: RedisHost
    private let logger: Logger
    private let health: StorageHealth
    private let state: RedisStoreState
    private let writer: BatchWorker<AppendJob>
    private let reader: BatchWorker<ReadJob>
    private let consumer: BatchWorker<RedisConsumer>
    let latest: SendTime

    /// How long Redis may take for waiting messages at the end. Together with the grace period for calls it must stay
    /// below the 10 s after which container engines kill.
    private static let closeTimeout = Duration.seconds(2)

    /// Connects. Blocks.
    init(
        _ address: RedisAddress,
        tls: RedisTLS? = nil,
        retention: RetentionPolicy,
        keys: IdempotencyKeys.Limits = .init(),
        logger: Logger,
        health: StorageHealth = StorageHealth()
    ) throws(StartError) {
        let host = RedisHost(address, tls: tls)
        do {
            let stream = try RedisStream(at: host)
            let snapshot = try stream.begin()
            guard let heldAfter = snapshot.heldAfter else {
                throw RedisError(description: "Redis was emptied just now")
            }
            let state = RedisStoreState(LossDetector(snapshot), heldAfter: heldAfter, now: try stream.now())
            self.state = state
            latest = state.acknowledged
            // If Redis refuses writes, senders learn that later.
            try? stream.trim(toLength: retention.maxMessages)
            var connectedWriter = RedisWriter(
                host,
                retention: retention,
                keys: RedisKeys(limits: keys, latest: latest, now: state.now),
                clock: RetentionClock(
                    latest: try RetentionClock.trustedStart(
                        latest: latest,
                        age: retention.maxAge,
                        neighbors: stream.neighbors
                    ),
                    age: retention.maxAge,
                    wall: state.now
                ),
                failureLog: FailureLog(logger: logger, health: health),
                state: state
            )
            try connectedWriter.connect()
            let redisWriter = Mutex(connectedWriter)
            writer = try BatchWorker(
                named: "history-writer",
                limit: AppendJob.queueLimit,
                tick: RedisWriter.upkeepInterval
            ) { jobs in redisWriter.withLock { $0.append(jobs) } }
            let redisReader = Mutex(RedisReader(host, state, FailureLog(logger: logger)))
            reader = try BatchWorker(named: "history-reader", limit: ReadJob.queueLimit) { jobs in
                redisReader.withLock { $0.read(jobs) }
            }
            consumer = try BatchWorker(named: "history-follow", limit: 1) { consumers in
                for var consumer in consumers { consumer.run() }
            }
        } catch {
            let advice = (error as? RedisError)?.advice.map { ". \($0)" } ?? ""
            throw StartError(.unavailable, "Cannot use the history at \(address.description): \(error)\(advice)")
        }
        self.host = host
        self.logger = logger
        self.health = health
    }

    var heldAfter: SendTime { state.heldAfter }
    var lastAcknowledged: SendTime { state.acknowledged }
    var isShared: Bool { true }
    var now: SendTime { state.now }
    /// A reader that begins ahead of Redis's clock receives nothing until that clock has caught up.
    var maxClockSkew: Duration { .seconds(2) }

    func follow(into tail: HistoryTail) {
        _ = consumer.submit(RedisConsumer(host: host, tail: tail, state: state, logger: logger, health: health))
    }

    func append(_ message: NewMessage, completion: @escaping AppendCompletion) {
        writer.append(message) { [self] result in
            if case .success(let time) = result { state.acknowledge(time) }
            completion(result)
        }
    }

    func read(after time: SendTime, limit: HistoryPage.Limit) async throws(StorageError) -> HistoryPage {
        try await reader.read(.page(after: time, limit: limit))
    }

    func position(beforeLast count: Int) async throws(StorageError) -> SendTime {
        try await reader.read(.position(beforeLast: count)).upTo
    }

    func close() async {
        if await finishes(within: Self.closeTimeout, { [self] in await closeInOrder() }) { return }
        logger.warning("Redis does not answer: waiting messages fail")
        state.interrupt.trigger()
        // A connection attempt cannot be interrupted. It is left behind.
        _ = await finishes(within: .milliseconds(500)) { [self] in await closeInOrder() }
    }

    private func closeInOrder() async {
        await writer.close()
        state.close()
        await consumer.close()
        await reader.close()
    }
}

extension RedisError {
    /// What an operator can do about it at the start.
    fileprivate var advice: String? {
        switch code {
        case "WRONGTYPE": "KEY or KEY:begun has something that is not a room: choose another key."
        case "NOAUTH": "Redis needs a user or a password: redis://USER:PASSWORD@HOST/KEY."
        case "NOPERM": "docs/scaling.md lists the rights that the user needs."
        case "READONLY": "This is a replica: start a server at the primary first."
        case "MOVED", "CROSSSLOT", "CLUSTERDOWN": "Redis Cluster is not supported: a room is in one Redis."
        default: nil
        }
    }
}

/// The state that the three threads of a store share. Thread-safe.
final class RedisStoreState: Sendable {
    private struct State {
        var detector: LossDetector
        var heldAfter: SendTime
        var acknowledged: SendTime
        var newlyAcknowledged: [SendTime] = []
        /// Redis's clock, less the monotonic clock.
        var clockOffset: Int64
        var isClosed = false
    }

    /// Ends all connections of the store.
    let interrupt = RedisInterrupt()
    private let state: Mutex<State>

    /// Starts at the end of the stream.
    /// - Parameter now: The time by Redis's clock.
    init(_ detector: LossDetector, heldAfter: SendTime, now: SendTime) {
        let latest = max(heldAfter, detector.lastID.time)
        state = Mutex(
            State(detector: detector, heldAfter: heldAfter, acknowledged: latest, clockOffset: Self.offset(of: now))
        )
    }

    private static func offset(of time: SendTime) -> Int64 {
        time.nanosecondsSinceEpoch - Int64(MonotonicClock.now / .nanoseconds(1))
    }

    /// The time by Redis's clock, which assigns times. This machine's may be another one.
    var now: SendTime {
        let monotonic = Int64(MonotonicClock.now / .nanoseconds(1))
        return SendTime(nanosecondsSinceEpoch: state.withLock(\.clockOffset) + monotonic)
    }

    /// Sets ``now``.
    func setClock(_ now: SendTime) {
        let offset = Self.offset(of: now)
        state.withLock { $0.clockOffset = offset }
    }

    /// How far the consumer has read. Everything before is in the tail, or on its way there.
    var detector: LossDetector { state.withLock { $0.detector } }
    /// Every message after this time is in the stream.
    var heldAfter: SendTime { state.withLock { $0.heldAfter } }
    /// The latest time that a sender at this server has received.
    var acknowledged: SendTime { state.withLock { $0.acknowledged } }
    /// Whether this server adds no more messages.
    var isClosed: Bool { state.withLock { $0.isClosed } }
    /// Whether the store is closed, and the consumer has read all acknowledged messages.
    var isDrained: Bool { state.withLock { $0.isClosed && $0.detector.lastID.time >= $0.acknowledged } }

    func update(_ detector: LossDetector, heldAfter: SendTime) {
        state.withLock { state in
            state.detector = detector
            state.heldAfter = heldAfter
        }
    }

    func acknowledge(_ time: SendTime) {
        state.withLock { state in
            state.acknowledged = max(state.acknowledged, time)
            state.newlyAcknowledged.append(time)
        }
    }

    /// The times acknowledged since the last call. Each of these messages is in the stream, or lost.
    func takeNewlyAcknowledged() -> [SendTime] {
        state.withLock { exchange(&$0.newlyAcknowledged, with: []) }
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}
