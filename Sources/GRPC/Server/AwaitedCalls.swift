internal import Synchronization

/// The calls of a server on one completion queue whose first message has not come yet: those for which it does not come
/// are ended.
///
/// Time is counted in ticks of the server, so that no call has to look at a clock.
///
/// `@unchecked`: what is marked as the thread's own is touched on the queue's thread alone.
final class AwaitedCalls: TurnWork, @unchecked Sendable {
    let queue: CompletionQueue
    /// How many there are, for other threads.
    private let count = Atomic<Int>(0)
    /// The server is being shut down: none is waited for any longer.
    private let isEnding = Atomic<Bool>(false)

    // The thread's own.
    private var calls: [ArrivingCall] = []
    private var now = 0

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// From any thread: time has passed.
    func tick(isEnding: Bool) {
        if isEnding { self.isEnding.store(true, ordering: .relaxed) }
        if count.load(ordering: .relaxed) > 0 { queue.perform(self) }
    }

    func add(_ call: ArrivingCall) {
        call.awaitedIndex = calls.count
        call.awaitedSince = now
        calls.append(call)
        count.store(calls.count, ordering: .relaxed)
    }

    func remove(_ call: ArrivingCall) {
        guard let index = call.awaitedIndex else { return }
        call.awaitedIndex = nil
        let last = calls.removeLast()
        count.store(calls.count, ordering: .relaxed)
        guard last !== call else { return }
        calls[index] = last
        last.awaitedIndex = index
    }

    /// Called by the queue after each tick.
    func run() {
        now += 1
        let isEnding = isEnding.load(ordering: .relaxed)
        for call in calls where isEnding || now - call.awaitedSince > call.patience {
            remove(call)
            guard call.needsMessage else { continue }
            if isEnding { call.refuse(.shuttingDown) } else { call.messageDidNotCome() }
        }
    }
}
