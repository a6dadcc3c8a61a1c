import Messenger
import Redis

/// Reads messages from a room's stream, for those who have fallen behind memory. Connects when it has to.
struct RedisReader {
    private var link: RedisLink

    init(_ address: RedisAddress) {
        link = RedisLink(address)
    }

    mutating func serve(_ jobs: [ReadJob]) {
        for job in jobs { job.continuation.resume(returning: answer(job)) }
    }

    private mutating func answer(_ job: ReadJob) -> Result<HistoryPage, HomeError> {
        do throws(RedisError) {
            let snapshot = try link.stream().snapshot(after: StreamID(job.time), atMost: job.count)
            guard let heldAfter = snapshot.heldAfter else { return .failure(.unavailable(.cannotBeReached)) }
            guard job.time >= heldAfter else { return .failure(.noLongerHeld(heldAfter: heldAfter)) }
            let end = snapshot.isWhole ? snapshot.last : snapshot.lastEntry
            return .success(HistoryPage(messages: snapshot.messages, upTo: max(job.time, end?.time ?? job.time)))
        } catch {
            link.drop()
            return .failure(.unavailable(.cannotBeReached))
        }
    }
}
