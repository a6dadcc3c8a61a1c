internal import CGRPC
internal import Synchronization

/// Notifies many streams at once that there is something to send.
///
/// Streams that ``ResponseWriter/follow(_:next:)`` a broadcast are not woken one by one. After a notification each
/// ``CompletionQueue`` sends to all its streams together, once it has handled the other events of its turn.
/// Thread-safe.
public final class Broadcast: Sendable {
    /// Returns the next encoded message for a stream, or `nil` if there is none yet.
    ///
    /// `hasMore` says that another message or the end follows at once, so the transport can combine the two. After
    /// `nil` or `hasMore == false` the source is called again at the next notification. An error ends the following.
    /// It runs on the thread of the call's queue and must not block.
    public typealias Source = @Sendable () throws -> (message: ByteBuffer, hasMore: Bool)?

    private let audiences: [Audience]

    /// - Parameter group: The group of the servers whose streams follow this broadcast.
    public init(group: CompletionQueueGroup) {
        audiences = group.queues.map(Audience.init)
    }

    /// Calls the source of each stream. A stream whose client does not read is skipped until it does.
    public func notify() {
        for audience in audiences { audience.notify() }
    }

    func audience(on queue: CompletionQueue) -> Audience? {
        audiences.first { $0.queue === queue }
    }
}

/// The streams of a broadcast on one completion queue.
///
/// `@unchecked`: the fields of the queue's thread are used on that thread only.
final class Audience: TurnWork, @unchecked Sendable {
    let queue: CompletionQueue
    private let isScheduled = Atomic<Bool>(false)
    private let hasNews = Atomic<Bool>(false)
    /// The number of followers, for other threads.
    private let count = Atomic<Int>(0)

    // The fields of the queue's thread.
    private var followers: [Follower] = []
    private var unfinished: [Follower] = []

    /// Most messages per turn for one stream, and for all streams together. Streams that catch up must not delay each
    /// other or the queue's other calls. Each stream may always send one.
    private static let burst = 64
    private static let messagesPerTurn = 32_768

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// Called from any thread.
    func notify() {
        // Do not wake a queue without followers. One that is being added now calls its source afterwards anyway.
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

    /// Lets one stream continue in the next turn.
    func resume(_ follower: Follower) {
        unfinished.append(follower)
        schedule()
    }

    /// An upper bound: it counts streams whose clients do not read at the moment.
    var sendCount: Int { hasNews.load(ordering: .relaxed) ? followers.count : unfinished.count }

    /// Called once per turn, after ``schedule()``.
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

/// A stream that follows a ``Broadcast``. It sends what its source returns, as long as the client reads.
///
/// `@unchecked`: used on the thread of the call's queue only.
final class Follower: @unchecked Sendable {
    private let call: ServerCall
    private let next: Broadcast.Source
    /// Called once with the reason when the following ends.
    private var ended: ((any Error) -> Void)?
    /// A send is in flight that the transport has not accepted yet.
    private var isSending: Bool
    /// The position in the audience's list.
    var index: Int?

    /// - Parameter isSending: Whether a send of the call is in flight already.
    init(call: ServerCall, isSending: Bool, next: @escaping Broadcast.Source, ended: @escaping (any Error) -> Void) {
        self.call = call
        self.isSending = isSending
        self.next = next
        self.ended = ended
    }

    /// Ends the following.
    func stop(_ reason: any Error) {
        guard let ended else { return }
        self.ended = nil
        ended(reason)
    }

    /// Sends up to `burst` messages. Returns whether more could be sent at once.
    func run(burst: Int) -> Bool {
        guard ended != nil else { return false }
        do {
            if isSending {
                guard let succeeded = call.takeCompletion(of: .send) else { return false }
                isSending = false
                guard succeeded else { throw RPCError.peerIsGone }
            }
            for remaining in (0..<burst).reversed() {
                guard let (message, hasMore) = try next() else { return false }
                // The last message of a burst flushes the ones before it.
                guard let succeeded = try call.startSending(message, isBuffered: hasMore && remaining > 0) else {
                    isSending = true
                    return false
                }
                guard succeeded else { throw RPCError.peerIsGone }
                // The broadcast notifies about everything that comes later.
                guard hasMore else { return false }
            }
            return true
        } catch {
            stop(error)
            return false
        }
    }
}

// Following a broadcast, on the queue's thread.

extension ServerCall {
    /// Answers the call with the messages of a source, without a task.
    func startFollowing(_ broadcast: Broadcast, _ open: ServerMethod.Opening) {
        watchForEnd()
        var observer: CallObserver?
        do {
            try intercept(&observer)
            let (metadata, next) = try open(self)
            let sent = try startSendingInitialMetadata(metadata)
            guard sent != false else { throw RPCError.peerIsGone }
            try follow(broadcast, next, isSending: sent == nil) { [observer] reason in
                self.conclude(.failure(reason), observer)
            }
        } catch {
            conclude(.failure(error), observer)
        }
    }

    /// Sends what `next` returns until it throws or the call ends, then throws the reason. Cancelling the task cancels
    /// the call.
    func follow(_ broadcast: Broadcast, _ next: @escaping Broadcast.Source) async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                do {
                    try follow(broadcast, next, isSending: false) { continuation.resume(throwing: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Adds the call to the broadcast's streams. Calls `ended` with the reason when the following ends.
    private func follow(
        _ broadcast: Broadcast,
        _ next: @escaping Broadcast.Source,
        isSending: Bool,
        _ ended: @escaping (any Error) -> Void
    ) throws(RPCError) {
        guard let audience = broadcast.audience(on: queue) else { throw .misuse(.foreignBroadcast) }
        guard queue.isCurrent else { throw queue.hasEnded ? .shutDown : .misuse(.foreignThread) }
        guard following == nil else { throw .misuse(.concurrentFollows) }
        guard !peerIsGone else { throw .peerIsGone }
        let follower = Follower(call: self, isSending: isSending, next: next) { reason in
            if let (follower, audience) = self.following {
                self.following = nil
                audience.remove(follower)
            }
            ended(reason)
        }
        following = (follower, audience)
        audience.add(follower)
    }
}
