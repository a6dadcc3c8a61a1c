internal import Synchronization

/// Tells many streams at once that there is something new for them.
///
/// Streams that ``ResponseWriter/follow(_:next:)`` a broadcast are not woken one by one. Each ``CompletionQueue`` looks once
/// in its turn, after all events that came with the news, and sends to all of its streams in one go. Thread-safe.
public final class Broadcast: Sendable {
    /// What a stream sends next: a message, encoded, and whether there is more already, be it a message or the end, so that
    /// the transport may gather both; `nil` if there is nothing for now. After `false` or `nil` it is asked again when the
    /// broadcast is notified. What it throws ends the following. Called on the thread of the call's queue, so it must not
    /// block.
    public typealias Source = @Sendable () throws -> (message: ByteBuffer, hasMore: Bool)?

    private let audiences: [Audience]

    /// - Parameter group: Where the streams' calls are handled.
    public init(group: CompletionQueueGroup) {
        audiences = group.queues.map(Audience.init)
    }

    /// Has every stream ask for its next message, unless it waits for its client to take the one before.
    public func notify() {
        for audience in audiences { audience.notify() }
    }

    func audience(on queue: CompletionQueue) -> Audience? {
        audiences.first { $0.queue === queue }
    }
}

/// The streams of a broadcast on one completion queue.
///
/// `@unchecked`: what is marked as the thread's own is touched on the queue's thread alone.
final class Audience: TurnWork, @unchecked Sendable {
    let queue: CompletionQueue
    private let isScheduled = Atomic<Bool>(false)
    private let hasNews = Atomic<Bool>(false)
    /// How many there are, for other threads.
    private let count = Atomic<Int>(0)

    // The thread's own.
    private var followers: [Follower] = []
    private var unfinished: [Follower] = []

    /// Messages sent to one stream in a turn at the most, and to all of them, if one for each is not more: streams that
    /// have much to catch up on hold up neither each other nor the queue's other calls.
    private static let burst = 64
    private static let messagesPerTurn = 32_768

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// From any thread.
    func notify() {
        // A queue is not woken for nobody. A stream that is being added at this moment looks for news by itself, afterwards.
        guard count.load(ordering: .sequentiallyConsistent) > 0 else { return }
        hasNews.store(true, ordering: .sequentiallyConsistent)
        schedule()
    }

    private func schedule() {
        if !isScheduled.exchange(true, ordering: .sequentiallyConsistent) { queue.perform(self) }
    }

    func add(_ follower: Follower) {
        follower.index = followers.count
        followers.append(follower)
        count.store(followers.count, ordering: .sequentiallyConsistent)
        resume(follower)
    }

    func remove(_ follower: Follower) {
        guard let index = follower.index else { return }
        follower.index = nil
        let last = followers.removeLast()
        count.store(followers.count, ordering: .sequentiallyConsistent)
        guard last !== follower else { return }
        followers[index] = last
        last.index = index
    }

    /// Has one stream go on in the next turn.
    func resume(_ follower: Follower) {
        unfinished.append(follower)
        schedule()
    }

    /// One to each of them; those whose clients take nothing at the moment are counted too.
    var sendCount: Int { hasNews.load(ordering: .relaxed) ? followers.count : unfinished.count }

    /// Called by the queue, once after each time that it was asked to.
    func run() {
        isScheduled.store(false, ordering: .sequentiallyConsistent)
        var waiting: [Follower] = []
        swap(&waiting, &unfinished)
        if hasNews.exchange(false, ordering: .sequentiallyConsistent) { waiting = followers }
        guard !waiting.isEmpty else { return }
        let burst = max(1, min(Self.burst, Self.messagesPerTurn / waiting.count))
        for follower in waiting where follower.run(burst: burst) { unfinished.append(follower) }
        if !unfinished.isEmpty { schedule() }
    }
}
