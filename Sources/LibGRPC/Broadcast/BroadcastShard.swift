internal import Synchronization

/// The subscribers of a broadcast on one completion queue.
///
/// `@unchecked`: the fields of the queue's thread are used on that thread only.
final class BroadcastShard: @unchecked Sendable {
    let queue: CompletionQueue
    private let isScheduled = Atomic<Bool>(false)
    private let hasNews = Atomic<Bool>(false)
    /// The number of subscribers, for other threads.
    private let count = Atomic<Int>(0)
    /// For other threads, too. Only the queue's thread writes them.
    let waitingCount = Atomic<Int>(0)
    let sentCount = Atomic<Int>(0)

    // The fields of the queue's thread.
    private var subscribers: [BroadcastSubscriber] = []
    private var unfinished: [BroadcastSubscriber] = []

    /// Most messages per turn for one stream, and for all streams together. Streams that catch up must not delay each
    /// other or the queue's other calls. Each stream may always send one.
    private static let burst = 64
    private static let messagesPerTurn = 32_768

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    var subscriberCount: Int { count.load(ordering: .relaxed) }

    /// Called from any thread.
    func notify() {
        // Do not wake a queue without subscribers. One that is being added now calls its source afterwards anyway.
        guard count.load(ordering: .sequentiallyConsistent) > 0 else { return }
        hasNews.store(true, ordering: .sequentiallyConsistent)
        schedule()
    }

    private func schedule() {
        guard !isScheduled.exchange(true, ordering: .sequentiallyConsistent) else { return }
        queue.execute(sendCount: { self.sendCount }, { self.send() })
    }

    func add(_ subscriber: BroadcastSubscriber) {
        subscriber.index = subscribers.count
        subscribers.append(subscriber)
        count.store(subscribers.count, ordering: .sequentiallyConsistent)
        resume(subscriber)
    }

    func remove(_ subscriber: BroadcastSubscriber) {
        guard let index = subscriber.index else { return }
        subscriber.index = nil
        let last = subscribers.removeLast()
        count.store(subscribers.count, ordering: .sequentiallyConsistent)
        guard last !== subscriber else { return }
        subscribers[index] = last
        last.index = index
    }

    /// Lets one stream continue in the next turn.
    func resume(_ subscriber: BroadcastSubscriber) {
        unfinished.append(subscriber)
        schedule()
    }

    /// An upper bound: it counts streams whose clients do not read at the moment.
    private var sendCount: Int { hasNews.load(ordering: .relaxed) ? subscribers.count : unfinished.count }

    /// Called once per turn, after ``schedule()``.
    private func send() {
        isScheduled.store(false, ordering: .sequentiallyConsistent)
        var waiting: [BroadcastSubscriber] = []
        swap(&waiting, &unfinished)
        if hasNews.exchange(false, ordering: .sequentiallyConsistent) { waiting = subscribers }
        guard !waiting.isEmpty else { return }
        let burst = max(1, min(Self.burst, Self.messagesPerTurn / waiting.count))
        for subscriber in waiting where subscriber.send(burst: burst) { unfinished.append(subscriber) }
        if !unfinished.isEmpty { schedule() }
    }
}

/// A stream that is subscribed to a ``Broadcast``. It sends what its source returns, as long as the client reads.
///
/// `@unchecked`: used on the thread of the call's queue only.
final class BroadcastSubscriber: @unchecked Sendable {
    private let call: ServerCall
    private let shard: BroadcastShard
    private let next: Broadcast.Source
    /// What the source has returned or thrown after the last message that was sent.
    private var ahead: Result<ByteBuffer, any Error>?
    /// Called once with the reason when the subscription ends.
    private var ended: ((any Error) -> Void)?
    /// A send is in flight that the transport has not accepted yet.
    private var isSending = false
    /// The position in the shard's list.
    var index: Int?

    init(
        call: ServerCall,
        shard: BroadcastShard,
        next: @escaping Broadcast.Source,
        ended: @escaping (any Error) -> Void
    ) {
        self.call = call
        self.shard = shard
        self.next = next
        self.ended = ended
    }

    /// Ends the subscription.
    func stop(_ reason: any Error) {
        guard let ended else { return }
        self.ended = nil
        call.subscriber = nil
        shard.remove(self)
        ended(reason)
    }

    /// Sends up to `burst` messages. Returns whether more could be sent at once.
    func send(burst: Int) -> Bool {
        guard ended != nil, !isSending else { return false }
        do {
            for remaining in (0..<burst).reversed() {
                guard let message = try ahead.take()?.get() ?? next() else { return false }
                lookAhead()
                // The last message of a burst flushes the ones before it.
                try call.startSending(message, isBuffered: ahead != nil && remaining > 0)
                shard.sentCount.addAlone(1)
                // The broadcast notifies about everything that comes later.
                guard try isSendComplete(), ahead != nil else { return false }
            }
            return true
        } catch {
            stop(error)
            return false
        }
    }

    private func lookAhead() {
        do { ahead = try next().map { .success($0) } } catch { ahead = .failure(error) }
    }

    /// A send of the call has been started: no message is sent until it is complete.
    func waitForSend() {
        do { _ = try isSendComplete() } catch { stop(error) }
    }

    /// Whether the call's send is complete. If not, the stream continues when it is.
    private func isSendComplete() throws(RPCError) -> Bool {
        guard let succeeded = call.result(of: .send) else {
            isSending = true
            shard.waitingCount.addAlone(1)
            _ = call.wait(for: .send, .callback { self.sendCompleted($0) })
            return false
        }
        guard succeeded else { throw .peerIsGone }
        return true
    }

    private func sendCompleted(_ succeeded: Bool) {
        isSending = false
        shard.waitingCount.addAlone(-1)
        if succeeded { shard.resume(self) } else { stop(RPCError.peerIsGone) }
    }
}

extension Atomic<Int> {
    /// Adds without a locked instruction, if no other thread writes.
    fileprivate func addAlone(_ count: Int) {
        store(load(ordering: .relaxed) &+ count, ordering: .relaxed)
    }
}
