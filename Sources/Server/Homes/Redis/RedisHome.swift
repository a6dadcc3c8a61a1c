import GRPC
import Logging
import Messenger
import Synchronization

/// A home in a stream of Redis's: several servers share one room.
///
/// Redis gives out the times, as IDs of the stream's entries, so they are the same on every server. A server's own
/// messages come to its tail like all others: from the stream. Three threads have a connection each: one adds what
/// waits, pipelined; one follows; one reads for those who have fallen behind memory.
final class RedisHome: HistoryHome {
    private struct Append: Sendable {
        let author: String
        let text: String
        let continuation: CheckedContinuation<Result<SendTime, HomeError>, Never>
    }

    private struct Read: Sendable {
        let time: SendTime
        let count: Int
        let continuation: CheckedContinuation<Result<[Message], HomeError>, Never>
    }

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
    private let writer: BatchWorker<Append>
    private let reader: BatchWorker<Read>
    let latest: SendTime

    private static let waitingBytes = 64 << 20
    private static let waitingOverhead = 256
    private static let waitingReads = 100_000
    /// Commands on their way to Redis at once.
    private static let pipeline = 1000
    private static let away = HomeError.unavailable(.cannotBeReached)

    /// Connects. Blocks.
    init(_ address: RedisAddress, retention: Retention, logger: Logger) throws(StartError) {
        do {
            let stream = try RedisStream(address)
            try stream.begin()
            let snapshot = try stream.snapshot(after: .zero, atMost: 1)
            guard let heldAfter = snapshot.heldAfter else { throw RedisError(description: "it is being emptied") }
            start = StreamWatch(snapshot)
            latest = max(heldAfter, snapshot.last.sendTime ?? heldAfter)
            state = Mutex(State(heldAfter: heldAfter, acknowledged: latest))
            let adding = Adding(address: address, retention: retention, outages: Outages(logger: logger))
            writer = try BatchWorker(
                named: "history-writer",
                limit: Self.waitingBytes,
                tick: retention.age == nil ? nil : .seconds(1)
            ) { adding.add($0) }
            let reading = Reading(address: address)
            reader = try BatchWorker(named: "history-reader", limit: Self.waitingReads) { reading.serve($0) }
        } catch {
            throw StartError(.unavailable, "Cannot use the history at \(address.description): \(error)")
        }
        self.address = address
        self.logger = logger
    }

    var heldAfter: SendTime { state.withLock { $0.heldAfter } }
    var acknowledged: SendTime { state.withLock { $0.acknowledged } }
    /// Times are given out by Redis's clock.
    var clockTolerance: Duration { .seconds(60) }

    func follow(into tail: some HistoryTail) throws(StartError) {
        let follower = RedisFollower(
            address: address,
            tail: tail,
            logger: logger,
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

    func append(author: String, text: String) async throws(HomeError) -> SendTime {
        let result = await withCheckedContinuation { continuation in
            let append = Append(author: author, text: text, continuation: continuation)
            let cost = author.utf8.count + text.utf8.count + Self.waitingOverhead
            if let refusal = writer.submit(append, cost: cost) {
                continuation.resume(returning: .failure(HomeError(refusal)))
            }
        }
        let time = try result.get()
        state.withLock { $0.acknowledged = max($0.acknowledged, time) }
        return time
    }

    func read(after time: SendTime, atMost count: Int) async throws(HomeError) -> [Message] {
        let result = await withCheckedContinuation { continuation in
            if let refusal = reader.submit(Read(time: time, count: count, continuation: continuation)) {
                continuation.resume(returning: .failure(HomeError(refusal)))
            }
        }
        return try result.get()
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

extension RedisHome {
    /// The writer's thread's own.
    /// `@unchecked`: the worker calls it on one thread.
    private final class Adding: @unchecked Sendable {
        let address: RedisAddress
        let retention: Retention
        let outages: Outages
        private var stream: RedisStream?

        init(address: RedisAddress, retention: Retention, outages: Outages) {
            self.address = address
            self.retention = retention
            self.outages = outages
        }

        func add(_ appends: [Append]) {
            var rest = appends[...]
            var refused: RedisError?
            do throws(RedisError) {
                let stream = try connected()
                while !rest.isEmpty {
                    let part = rest.prefix(RedisHome.pipeline)
                    for append in part {
                        stream.add(author: append.author, text: append.text, keeping: retention.messages)
                    }
                    for append in part {
                        let result = try stream.addedTime()
                        rest.removeFirst()
                        if case .failure(let error) = result { refused = error }
                        append.continuation.resume(returning: result.mapError(Self.refusal))
                    }
                }
                if retention.age != nil, appends.isEmpty {
                    try stream.trim(before: retention.expiry(.now()))
                }
                if let refused { outages.began("the history cannot be written", refused) } else { outages.ended() }
            } catch {
                // What was sent and not answered may have been added: the sender is not told that it was refused.
                self.stream = nil
                outages.began("the history cannot be written", error)
                for append in rest { append.continuation.resume(returning: .failure(RedisHome.away)) }
            }
        }

        private func connected() throws(RedisError) -> RedisStream {
            if let stream { return stream }
            let new = try RedisStream(address)
            stream = new
            return new
        }

        private static func refusal(_ error: RedisError) -> HomeError {
            error.description.hasPrefix("OOM")
                ? .full(.memoryIsFull) : RedisHome.away
        }
    }

    /// The reader's thread's own.
    /// `@unchecked`: the worker calls it on one thread.
    private final class Reading: @unchecked Sendable {
        let address: RedisAddress
        private var stream: RedisStream?

        init(address: RedisAddress) {
            self.address = address
        }

        func serve(_ reads: [Read]) {
            for read in reads {
                read.continuation.resume(returning: answer(read))
            }
        }

        private func answer(_ read: Read) -> Result<[Message], HomeError> {
            do throws(RedisError) {
                let stream = try connected()
                let snapshot = try stream.snapshot(after: StreamID(read.time), atMost: read.count)
                guard let heldAfter = snapshot.heldAfter else { return .failure(RedisHome.away) }
                guard read.time >= heldAfter else { return .failure(.noLongerHeld(heldAfter: heldAfter)) }
                return .success(snapshot.messages)
            } catch {
                stream = nil
                return .failure(RedisHome.away)
            }
        }

        private func connected() throws(RedisError) -> RedisStream {
            if let stream { return stream }
            let new = try RedisStream(address)
            stream = new
            return new
        }
    }
}
