import Glibc
import Logging
import Messenger
import Redis

/// Feeds this server's tail with the messages that all servers add to the stream, and reconnects to Redis.
///
/// It runs on a thread of its own.
struct RedisConsumer: Sendable {
    private let host: RedisHost
    private let tail: HistoryTail
    private let state: RedisStoreState
    private let logger: Logger
    private let health: StorageHealth
    private var detector: LossDetector
    /// Acknowledged messages that have not been read from the stream yet.
    private var unread: [SendTime] = []
    private var hasWarned = false
    /// Since when Redis is a replica that lacks messages read or acknowledged here.
    private var laggingSince: ContinuousClock.Instant?

    /// How many messages are read at once.
    private static let batch = 1000
    /// How long `XREAD` blocks. Then the stream is checked even if nothing was added.
    private static let blockTime = Duration.milliseconds(500)
    /// How long a replica may lag without a log line.
    private static let lagWarningDelay = Duration.seconds(2)

    init(
        host: RedisHost,
        tail: HistoryTail,
        state: RedisStoreState,
        logger: Logger,
        health: StorageHealth = StorageHealth()
    ) {
        self.host = host
        self.tail = tail
        self.state = state
        self.logger = logger
        self.health = health
        detector = state.detector
    }

    /// Returns when the store is closed, as soon as the last acknowledged message is in the tail.
    mutating func run() {
        let failureLog = FailureLog(logger: logger, health: health)
        let lagLog = FailureLog(logger: logger)
        while !state.isDrained {
            do throws(RedisError) {
                let stream = try RedisStream(at: host, interrupt: state.interrupt)
                try consume(stream, failureLog, lagLog)
            } catch {
                // Readers resume elsewhere, and receive the last messages there.
                guard !state.isClosed, !state.interrupt.isTriggered else { return }
                report(error, failureLog, lagLog)
                usleep(100_000)
            }
        }
    }

    private mutating func report(_ error: RedisError, _ failureLog: FailureLog, _ lagLog: FailureLog) {
        guard error.code == "READONLY" else { return failureLog.failed("Redis is unavailable", error) }
        let since = laggingSince ?? .now
        laggingSince = since
        if .now - since >= Self.lagWarningDelay {
            lagLog.failed("a replica lags behind: messages are missing in it", error)
        }
    }

    private mutating func consume(
        _ stream: RedisStream,
        _ failureLog: FailureLog,
        _ lagLog: FailureLog
    ) throws(RedisError) {
        var clockRead: ContinuousClock.Instant?
        while !state.isDrained {
            if clockRead.map({ .now - $0 >= Self.blockTime }) ?? true {
                state.setClock(try stream.now())
                clockRead = .now
            }
            unread += state.takeNewlyAcknowledged()
            let snapshot = try stream.snapshot(after: detector.lastID, count: Self.batch)
            warn(of: snapshot)
            let last = detector.lastID
            unread.removeAll { $0 <= last.time }
            switch detector.advance(to: snapshot, acknowledged: unread) {
            case .intact:
                if let heldAfter = snapshot.heldAfter { state.update(detector, heldAfter: heldAfter) }
                if !snapshot.messages.isEmpty { tail.publish(snapshot.messages) }
            case .lost:
                guard try isLost(stream) else { continue }
                try restart(stream, after: latest)
                let keys: Logger.Metadata = ["after": "\(last)", "lastInRedis": "\(snapshot.lastGeneratedID)"]
                logger.error("Redis has lost messages", metadata: keys)
            case .lossReported:
                // The other server has moved `begun`. If this one has read or acknowledged later messages, which are
                // lost too, it moves `begun` further.
                let now = try stream.snapshot(after: last, count: Self.batch, expecting: detector.lastEntryID)
                let hasLostMore = now.hasLostExpectedEntry || now.isMissing(anyOf: unread)
                try restart(stream, after: hasLostMore ? latest : nil)
                logger.error("another server has found that Redis lost messages", metadata: ["after": "\(last)"])
            }
            lagLog.recovered()
            laggingSince = nil
            if snapshot.isComplete { try stream.waitForEntry(after: detector.lastID, timeout: Self.blockTime) }
            // Only now: Redis may allow one of these commands, and not the other.
            failureLog.recovered()
        }
    }

    private mutating func warn(of snapshot: StreamSnapshot) {
        guard let id = snapshot.invalidEntry, !hasWarned else { return }
        hasWarned = true
        logger.warning("skipping an entry that is no message", metadata: ["id": "\(id)"])
    }

    /// Whether missing messages are lost, and not only late as in a replica that lags. A primary receives nothing late.
    /// - Throws: With the code `READONLY` if this is a replica.
    private func isLost(_ stream: RedisStream) throws(RedisError) -> Bool {
        try stream.checkIsPrimary()
        var detector = detector
        let snapshot = try stream.snapshot(after: detector.lastID, count: Self.batch)
        return detector.advance(to: snapshot, acknowledged: unread) == .lost
    }

    /// Later than all messages that were read or acknowledged here.
    private var latest: SendTime {
        let latest = max(detector.lastID.time, detector.begun ?? detector.lastID.time, state.acknowledged)
        return SendTime(nanosecondsSinceEpoch: latest.nanosecondsSinceEpoch + 1)
    }

    /// Continues from the end of the stream. Readers that have not received a message after `lost` get an error.
    private mutating func restart(_ stream: RedisStream, after lost: SendTime?) throws(RedisError) {
        let snapshot = try stream.begin(after: lost)
        guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "Redis was emptied again") }
        detector = LossDetector(snapshot)
        state.update(detector, heldAfter: heldAfter)
        tail.reset(max(heldAfter, snapshot.lastGeneratedID.time))
    }
}

/// Detects messages that are missing from a stream: because Redis was emptied, came back without its newest entries, or
/// trimmed entries before they were read.
///
/// IDs have gaps anyway. But Redis counts the entries ever added to a stream. That count must grow by exactly the
/// number of entries read.
struct LossDetector: Sendable {
    enum Outcome: Equatable {
        case intact
        /// Messages after ``lastID`` are lost.
        case lost
        /// Another server has detected a loss, and moved `begun`.
        case lossReported
    }

    /// Every entry up to this ID has been read.
    private(set) var lastID: StreamID
    /// The last entry that was read.
    private(set) var lastEntryID: StreamID?
    private var entriesAdded: Int64
    private(set) var begun: SendTime?

    /// Starts at the end of the stream.
    init(_ snapshot: StreamSnapshot) {
        lastID = snapshot.lastGeneratedID
        lastEntryID = snapshot.lastEntryID
        entriesAdded = snapshot.entriesAdded
        begun = snapshot.begun
    }

    /// Checks a snapshot of what follows ``lastID``, and advances past it if it is intact.
    /// - Parameter acknowledged: Times later than ``lastID`` that were acknowledged before the snapshot was requested.
    mutating func advance(to snapshot: StreamSnapshot, acknowledged: [SendTime] = []) -> Outcome {
        if let begun, let newBegun = snapshot.begun, newBegun > begun { return .lossReported }
        let expected = entriesAdded + Int64(snapshot.entryCount)
        // A snapshot at its limit may still be complete.
        let isCounted = snapshot.isComplete ? snapshot.entriesAdded == expected : snapshot.entriesAdded >= expected
        guard isCounted, snapshot.lastGeneratedID >= lastID, snapshot.begun == begun else { return .lost }
        // Redis trims the oldest first. If it has trimmed more entries than were read, some were not read.
        guard snapshot.entriesAdded - snapshot.length <= entriesAdded else { return .lost }
        // Messages lost before they were counted here are missing from no count.
        guard !snapshot.isMissing(anyOf: acknowledged) else { return .lost }
        entriesAdded = expected
        if let id = snapshot.lastReadID {
            lastID = id
            lastEntryID = id
        }
        return .intact
    }

    /// Whether nothing that was read is lost, in a snapshot that expected ``lastEntryID``.
    ///
    /// Redis always loses its newest entries. So while the last entry is there, all entries before it are.
    func isIntact(_ snapshot: StreamSnapshot) -> Bool {
        guard snapshot.begun == begun else { return false }
        guard let missingID = snapshot.missingID else { return true }
        return missingID <= snapshot.maxDeletedID
    }
}

/// Reads pages of messages from the stream, for readers that have fallen behind memory.
struct RedisReader {
    private var stream: ReconnectingStream
    private let state: RedisStoreState
    private let failureLog: FailureLog
    /// The size of a message in the last page. It limits how many messages are requested from Redis.
    private var bytesPerMessage = 1

    init(_ host: RedisHost, _ state: RedisStoreState, _ failureLog: FailureLog) {
        stream = ReconnectingStream(host, state.interrupt)
        self.state = state
        self.failureLog = failureLog
    }

    mutating func read(_ jobs: [ReadJob]) {
        var hasFailed = false
        for job in jobs {
            let result: Result<HistoryPage, StorageError>
            do throws(RedisError) {
                // A job that has waited for a timeout already does not wait for another one.
                result = hasFailed ? .failure(.unavailable(.cannotBeReached)) : try answer(job.request)
                if !hasFailed { failureLog.recovered() }
            } catch {
                stream.disconnect()
                if !state.interrupt.isTriggered { failureLog.failed("the history cannot be read", error) }
                hasFailed = true
                result = .failure(.unavailable(.cannotBeReached))
            }
            job.continuation.resume(returning: result)
        }
    }

    private mutating func answer(_ request: ReadJob.Request) throws(RedisError) -> Result<HistoryPage, StorageError> {
        switch request {
        case .page(let time, let limit): return try page(after: time, limit)
        case .position(let count):
            let position = try stream.connected().position(beforeLast: count) ?? state.heldAfter
            return .success(HistoryPage(messages: [], upTo: position))
        }
    }

    /// Only messages that the consumer has read, because only the consumer detects losses before them.
    private mutating func page(
        after time: SendTime,
        _ limit: HistoryPage.Limit
    ) throws(RedisError) -> Result<HistoryPage, StorageError> {
        let detector = state.detector
        let id = StreamID(time)
        let count = max(1, min(limit.messages, limit.bytes / bytesPerMessage))
        let snapshot = try stream.connected().snapshot(after: id, count: count, expecting: detector.lastEntryID)
        guard let heldAfter = snapshot.heldAfter else { return .failure(.unavailable(.cannotBeReached)) }
        guard time >= heldAfter else { return .failure(.noLongerHeld(heldAfter: heldAfter)) }
        guard detector.isIntact(snapshot) else { return .failure(.unavailable(.cannotBeReached)) }
        let lastRead = snapshot.isComplete ? snapshot.lastGeneratedID : snapshot.lastReadID ?? id
        let end = min(lastRead, detector.lastID).time
        var rest = limit
        let messages = snapshot.messages.prefix { $0.sendTime <= end && rest.admit($0) }
        bytesPerMessage = max(1, (limit.bytes - rest.bytes) / max(1, messages.count))
        let isCut = messages.count < snapshot.messages.count
        let upTo = isCut ? min(messages.last?.sendTime ?? end, end) : end
        return .success(HistoryPage(messages: Array(messages), upTo: max(time, upTo)))
    }
}
