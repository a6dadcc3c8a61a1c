internal import Synchronization

/// The calls on one completion queue that still wait for their first message. Ends those that wait too long.
///
/// Time is counted in ticks of the server, so no call needs to read a clock.
///
/// `@unchecked`: the fields of the queue's thread are used on that thread only.
final class AwaitedCalls: @unchecked Sendable {
    let queue: CompletionQueue
    /// The number of calls, for other threads.
    private let count = Atomic<Int>(0)
    /// Set when the server shuts down: refuse all waiting calls at the next tick.
    private let isEnding = Atomic<Bool>(false)

    // The fields of the queue's thread.
    private var calls: [ServerCall] = []
    private var now = 0

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// Called once per tick, from any thread.
    func tick(isEnding: Bool) {
        if isEnding { self.isEnding.store(true, ordering: .relaxed) }
        if count.load(ordering: .relaxed) > 0 { queue.execute { self.endTheLate() } }
    }

    func add(_ call: ServerCall) {
        call.awaitedIndex = calls.count
        call.awaitedSince = now
        calls.append(call)
        count.store(calls.count, ordering: .relaxed)
    }

    func remove(_ call: ServerCall) {
        guard let index = call.awaitedIndex else { return }
        call.awaitedIndex = nil
        let last = calls.removeLast()
        count.store(calls.count, ordering: .relaxed)
        guard last !== call else { return }
        calls[index] = last
        last.awaitedIndex = index
    }

    private func endTheLate() {
        now += 1
        let isEnding = isEnding.load(ordering: .relaxed)
        for call in calls where isEnding || now - call.awaitedSince > call.patience {
            remove(call)
            guard call.needsMessage else { continue }
            if isEnding { call.refuse(.shuttingDown) } else { call.messageDidNotCome() }
        }
    }
}
