import Logging
import Messenger
import Redis
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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

    /// Messages that are taken at once.
    private static let burst = 1000
    /// How long a wait lasts, after which the stream is looked at even if nothing came.
    private static let wait = Duration.milliseconds(500)

    init(host: RedisHost, tail: HistoryTail, progress: RedisProgress, logger: Logger) {
        self.host = host
        self.tail = tail
        self.progress = progress
        self.logger = logger
        watch = progress.watch
    }

    mutating func run() {
        let outages = Outages(logger: logger)
        while !progress.isOver {
            do throws(RedisError) {
                let stream = try RedisStream(at: host, interrupt: progress.interrupt)
                try follow(stream, outages)
            } catch {
                // What was acknowledged last is then with those who resume elsewhere.
                guard !progress.isClosed, !progress.interrupt.isTriggered else { return }
                outages.began("Redis is away", error)
                usleep(100_000)
            }
        }
    }

    private mutating func follow(_ stream: RedisStream, _ outages: Outages) throws(RedisError) {
        while !progress.isOver {
            told += progress.takeNewlyAcknowledged()
            let snapshot = try stream.snapshot(after: watch.last, atMost: Self.burst)
            outages.ended()
            if let foreign = snapshot.foreign, !hasWarned {
                hasWarned = true
                logger.warning(
                    "the stream holds what is no message, and is passed over",
                    metadata: ["id": "\(foreign)"]
                )
            }
            let last = watch.last
            told.removeAll { $0 <= last.time }
            switch watch.advance(snapshot, told: told) {
            case .sound:
                if let heldAfter = snapshot.heldAfter { progress.saw(watch, heldAfter: heldAfter) }
                if !snapshot.messages.isEmpty { tail.publish(snapshot.messages) }
            case .lost:
                logger.error("Redis has lost messages", metadata: ["after": "\(last)", "there": "\(snapshot.last)"])
                try goOn(stream, after: latest)
            case .begunAnew:
                logger.error("another server has found that Redis lost messages", metadata: ["after": "\(last)"])
                // It says from when on; only one that has seen or told later ones, which are lost too, says more.
                let now = try stream.snapshot(after: last, atMost: Self.burst, knowing: watch.newest)
                let hasLostMore = now.hasLostWhatWasAskedFor || now.lacks(anyOf: told)
                try goOn(stream, after: hasLostMore ? latest : nil)
            }
            if snapshot.isWhole { try stream.wait(after: watch.last, for: Self.wait) }
        }
    }

    /// A time later than all that was seen here or told to anybody, which may have gone.
    private var latest: SendTime {
        let latest = max(watch.last.time, watch.begun ?? watch.last.time, progress.acknowledged)
        return SendTime(nanosecondsSinceEpoch: latest.nanosecondsSinceEpoch + 1)
    }

    /// Goes on from the end of what there is. Who has had no message from after `lost` is told that messages are lost.
    private mutating func goOn(_ stream: RedisStream, after lost: SendTime?) throws(RedisError) {
        try stream.begin(after: lost)
        let snapshot = try stream.snapshot(after: .zero, atMost: 1)
        guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "Redis is emptied again") }
        watch = StreamWatch(snapshot)
        progress.saw(watch, heldAfter: heldAfter)
        tail.restart(max(heldAfter, snapshot.last.time))
    }
}
