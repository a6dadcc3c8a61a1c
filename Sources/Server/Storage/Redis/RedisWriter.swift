import Messenger
import Redis

/// Adds messages to the stream in a pipeline, and completes their jobs.
struct RedisWriter {
    private let retention: RetentionPolicy
    private var keys: RedisKeys
    private let maxLength: String
    private let failureLog: FailureLog
    private let state: RedisStoreState
    private let commits = CommitMetrics()
    private var stream: ReconnectingStream
    private var clock: RetentionClock
    private var lastTrim = ContinuousClock.now

    /// How often old messages are removed, and Redis is tried, while nothing is sent.
    static let upkeepInterval = Duration.seconds(2)
    private static let trimInterval = Duration.seconds(1)
    /// The most commands in flight.
    private static let pipelineDepth = 1000

    init(
        _ host: RedisHost,
        retention: RetentionPolicy,
        keys: RedisKeys,
        clock: RetentionClock,
        failureLog: FailureLog,
        state: RedisStoreState
    ) {
        self.retention = retention
        self.keys = keys
        self.clock = clock
        self.failureLog = failureLog
        self.state = state
        maxLength = "\(retention.maxMessages)"
        stream = ReconnectingStream(host, state.interrupt)
    }

    /// Connects ahead of the first message, so that the server can add messages even if it is out of file descriptors
    /// then.
    mutating func connect() throws(RedisError) { _ = try stream.connected() }

    /// Adds messages, and sometimes removes those that are too old. Without messages it asks whether Redis would accept
    /// one.
    mutating func append(_ jobs: [AppendJob]) {
        var unanswered = jobs[...]
        var refusal: RedisError?
        do throws(RedisError) {
            let stream = try stream.connected()
            while !unanswered.isEmpty {
                let batch = unanswered.prefix(Self.pipelineDepth)
                let start = ContinuousClock.now
                let now = state.now
                for job in batch { stream.queueAppend(job.message, maxLength: maxLength, &keys, now: now) }
                for job in batch {
                    let result = try stream.appendResult()
                    unanswered.removeFirst()
                    let outcome = result.mapError(Self.storageError)
                    if case .failure(let error) = result, outcome != .failure(.keyIsTaken) { refusal = error }
                    job.completion(outcome)
                }
                commits.committed(batch.count, since: start)
            }
            if retention.maxAge != nil, ContinuousClock.now - lastTrim >= Self.trimInterval {
                lastTrim = .now
                try stream.trim(before: retention.cutoff(now: clock.now(wall: state.now)))
            }
            if jobs.isEmpty { refusal = try stream.writeRefusal() }
            guard let refusal else { return failureLog.recovered() }
            failureLog.failed("the history cannot be written", refusal)
            // A Redis that has become a replica refuses too. The next connection may lead to the new primary.
            if Self.storageError(refusal) != .full(.memoryIsFull) { self.stream.disconnect() }
        } catch {
            stream.disconnect()
            // After an interrupt, the one that triggered it has logged it.
            if !state.interrupt.isTriggered { failureLog.failed("the history cannot be written", error) }
            // These messages may have been added, so the error must not say that they were refused.
            for job in unanswered { job.completion(.failure(.unavailable(.cannotBeReached))) }
        }
    }

    private static func storageError(_ error: RedisError) -> StorageError {
        switch error.code {
        case "OOM": .full(.memoryIsFull)
        case RedisKeys.isTaken: .keyIsTaken
        default: .unavailable(.cannotBeWritten)
        }
    }
}
