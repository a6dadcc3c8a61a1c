import Messenger
import Redis

/// Adds messages to a room's stream, pipelined, and tells their senders. Connects when it has to.
struct RedisAdder {
    private let retention: RetentionPolicy
    /// `retention.maxMessages`, as commands have it.
    private let most: String
    private let failureLog: FailureLog
    private let interrupt: RedisInterrupt
    private var link: RedisLink

    private var retentionClock: RetentionClock
    private var lastTrim = ContinuousClock.now
    private static let trimInterval = Duration.seconds(1)

    /// Commands on their way to Redis at once.
    private static let pipeline = 1000

    /// - Parameter latest: The time of the stream's last message.
    init(
        _ host: RedisHost,
        retention: RetentionPolicy,
        latest: SendTime,
        failureLog: FailureLog,
        interrupt: RedisInterrupt
    ) {
        self.retention = retention
        most = "\(retention.maxMessages)"
        retentionClock = RetentionClock(latest: latest, age: retention.maxAge)
        self.failureLog = failureLog
        self.interrupt = interrupt
        link = RedisLink(host, interrupt)
    }

    /// So that a server that is out of file descriptors later has what it takes to add.
    mutating func connect() throws(RedisError) { _ = try link.stream() }

    /// Adds what waits, and now and then lets go of messages that are too old.
    mutating func add(_ jobs: [AppendJob]) {
        var rest = jobs[...]
        var refused: RedisError?
        do throws(RedisError) {
            let stream = try link.stream()
            while !rest.isEmpty {
                let part = rest.prefix(Self.pipeline)
                for job in part { stream.add(author: job.author, text: job.text, keeping: most) }
                for job in part {
                    let result = try stream.addedTime()
                    rest.removeFirst()
                    if case .failure(let error) = result { refused = error }
                    job.completion(result.mapError(Self.refusal))
                }
            }
            if retention.maxAge != nil, ContinuousClock.now - lastTrim >= Self.trimInterval {
                lastTrim = .now
                try stream.trim(before: retention.cutoff(now: retentionClock.now()))
            }
            guard let refused else {
                // What only removes also works where nothing can be added.
                if !jobs.isEmpty { failureLog.recovered() }
                return
            }
            failureLog.failed("the history cannot be written", refused)
            // Another Redis may have taken its place: one that has become a replica refuses too.
            if Self.refusal(refused) != .full(.memoryIsFull) { link.drop() }
        } catch {
            // What was sent and not answered may have been added: the sender is not told that it was refused.
            link.drop()
            // Who has interrupted it says so.
            if !interrupt.isTriggered { failureLog.failed("the history cannot be written", error) }
            for job in rest { job.completion(.failure(.unavailable(.cannotBeReached))) }
        }
    }

    private static func refusal(_ error: RedisError) -> StorageError {
        error.code == "OOM" ? .full(.memoryIsFull) : .unavailable(.cannotBeWritten)
    }
}
