import Glibc
import Logging
import Messenger
import Redis
import Synchronization

/// Brings what any server adds to a room's stream to this server's tail, over every absence of Redis.
///
/// A thread of its own runs it.
struct RedisFollower: Sendable {
    private let host: RedisHost
    private let tail: HistoryTail
    private let progress: RedisProgress
    private let logger: Logger
    private var watch: StreamWatch
    /// What senders were told and has not been seen yet.
    private var told: [SendTime] = []
    private var hasWarned = false
    /// Since when Redis, a replica, lacks what was seen or told here.
    private var lagging: ContinuousClock.Instant?

    /// Messages that are taken at once.
    private static let burst = 1000
    /// How long a wait lasts, after which the stream is looked at even if nothing came.
    private static let wait = Duration.milliseconds(500)
    /// A replica that lags for longer is worth a line.
    private static let lagPatience = Duration.seconds(2)

    init(host: RedisHost, tail: HistoryTail, progress: RedisProgress, logger: Logger) {
        self.host = host
        self.tail = tail
        self.progress = progress
        self.logger = logger
        watch = progress.watch
    }

    mutating func run() {
        let failureLog = FailureLog(logger: logger)
        let lags = FailureLog(logger: logger)
        while !progress.isOver {
            do throws(RedisError) {
                let stream = try RedisStream(at: host, interrupt: progress.interrupt)
                try follow(stream, failureLog, lags)
            } catch {
                // What was acknowledged last is then with those who resume elsewhere.
                guard !progress.isClosed, !progress.interrupt.isTriggered else { return }
                report(error, failureLog, lags)
                usleep(100_000)
            }
        }
    }

    private mutating func report(_ error: RedisError, _ failureLog: FailureLog, _ lags: FailureLog) {
        guard error.code == "READONLY" else { return failureLog.failed("Redis is unavailable", error) }
        let since = lagging ?? .now
        lagging = since
        if .now - since >= Self.lagPatience {
            lags.failed("a replica lags behind: messages are missing in it", error)
        }
    }

    private mutating func follow(_ stream: RedisStream, _ failureLog: FailureLog, _ lags: FailureLog) throws(RedisError)
    {
        while !progress.isOver {
            told += progress.takeNewlyAcknowledged()
            let snapshot = try stream.snapshot(after: watch.last, atMost: Self.burst)
            failureLog.recovered()
            warn(of: snapshot)
            let last = watch.last
            told.removeAll { $0 <= last.time }
            switch watch.advance(snapshot, told: told) {
            case .sound:
                if let heldAfter = snapshot.heldAfter { progress.saw(watch, heldAfter: heldAfter) }
                if !snapshot.messages.isEmpty { tail.publish(snapshot.messages) }
            case .lost:
                guard try isLost(stream) else { continue }
                try goOn(stream, after: latest)
                logger.error("Redis has lost messages", metadata: ["after": "\(last)", "there": "\(snapshot.last)"])
            case .begunAnew:
                // It says from when on; only one that has seen or told later ones, which are lost too, says more.
                let now = try stream.snapshot(after: last, atMost: Self.burst, knowing: watch.newest)
                let hasLostMore = now.hasLostWhatWasAskedFor || now.lacks(anyOf: told)
                try goOn(stream, after: hasLostMore ? latest : nil)
                logger.error("another server has found that Redis lost messages", metadata: ["after": "\(last)"])
            }
            lags.recovered()
            lagging = nil
            if snapshot.isWhole { try stream.wait(after: watch.last, for: Self.wait) }
        }
    }

    private mutating func warn(of snapshot: StreamSnapshot) {
        guard let foreign = snapshot.foreign, !hasWarned else { return }
        hasWarned = true
        logger.warning("the stream holds what is no message, and is passed over", metadata: ["id": "\(foreign)"])
    }

    /// Whether messages that are missing are lost, and not only late, as in a replica that lags behind its primary.
    ///
    /// A primary gets nothing from anybody else, so what is missing in one is lost.
    /// - Throws: With the code `READONLY` if it is a replica.
    private func isLost(_ stream: RedisStream) throws(RedisError) -> Bool {
        try stream.checkIsPrimary()
        var watch = watch
        let snapshot = try stream.snapshot(after: watch.last, atMost: Self.burst)
        return watch.advance(snapshot, told: told) == .lost
    }

    /// A time later than all that was seen here or told to anybody, which may have gone.
    private var latest: SendTime {
        let latest = max(watch.last.time, watch.begun ?? watch.last.time, progress.acknowledged)
        return SendTime(nanosecondsSinceEpoch: latest.nanosecondsSinceEpoch + 1)
    }

    /// Goes on from the end of what there is. Who has had no message from after `lost` is told that messages are lost.
    private mutating func goOn(_ stream: RedisStream, after lost: SendTime?) throws(RedisError) {
        let snapshot = try stream.begun(after: lost)
        guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "Redis is emptied again") }
        watch = StreamWatch(snapshot)
        progress.saw(watch, heldAfter: heldAfter)
        tail.reset(max(heldAfter, snapshot.last.time))
    }
}
