import Messenger
import Redis

/// Reads messages from a room's stream, for those who have fallen behind memory. Connects when it has to.
struct RedisReader {
    private var link: RedisLink
    private let progress: RedisProgress
    /// What a message of the last page took: Redis is asked for a number of messages, and not for many more than are kept.
    private var bytesPerMessage = 1

    init(_ host: RedisHost, _ progress: RedisProgress) {
        link = RedisLink(host, progress.interrupt)
        self.progress = progress
    }

    mutating func serve(_ jobs: [ReadJob]) {
        var isAway = false
        for job in jobs {
            let result: Result<HistoryPage, StorageError>
            do throws(RedisError) {
                // Those who have waited behind one that got no answer have waited long enough.
                result = isAway ? .failure(.unavailable(.cannotBeReached)) : try answer(job)
            } catch {
                link.drop()
                isAway = true
                result = .failure(.unavailable(.cannotBeReached))
            }
            job.continuation.resume(returning: result)
        }
    }

    /// No message that the follower has not seen: it is the one who notices when some before it are lost.
    private mutating func answer(_ job: ReadJob) throws(RedisError) -> Result<HistoryPage, StorageError> {
        let watch = progress.watch
        let id = StreamID(job.time)
        let count = max(1, min(job.limit.messages, job.limit.bytes / bytesPerMessage))
        let snapshot = try link.stream().snapshot(after: id, atMost: count, knowing: watch.newest)
        guard let heldAfter = snapshot.heldAfter else { return .failure(.unavailable(.cannotBeReached)) }
        guard job.time >= heldAfter else { return .failure(.noLongerHeld(heldAfter: heldAfter)) }
        guard watch.isKept(in: snapshot) else { return .failure(.unavailable(.cannotBeReached)) }
        let read = snapshot.isWhole ? snapshot.last : snapshot.lastEntry ?? id
        let end = min(read, watch.last).time
        var room = job.limit
        let messages = snapshot.messages.prefix { $0.sendTime <= end && room.admit($0) }
        bytesPerMessage = max(1, (job.limit.bytes - room.bytes) / max(1, messages.count))
        let isPart = messages.count < snapshot.messages.count
        let upTo = isPart ? min(messages.last?.sendTime ?? end, end) : end
        return .success(HistoryPage(messages: Array(messages), upTo: max(job.time, upTo)))
    }
}
