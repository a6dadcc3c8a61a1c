internal import CGRPC
internal import Glibc
internal import Synchronization

/// An event loop: one thread that polls one of the core's completion queues, and the task executor of the calls on it.
///
/// The thread works in *turns*. A turn takes every event that is there, runs the jobs of Swift tasks that became ready, and
/// lets go what they have sent. A task that prefers this executor runs on the thread that polls its calls, so an event
/// resumes it without a hop to another thread.
///
/// Blocking the thread in a handler blocks every call on the queue.
///
/// `@unchecked`: the C handles are used as the core's thread-safety rules allow, `gate` keeps starts and shutdown apart,
/// and what is marked as the thread's own is touched on the thread alone.
public final class CompletionQueue: TaskExecutor, @unchecked Sendable {
    struct Event {
        let tag: Tag
        let succeeded: Bool
    }

    /// The queue that the thread polls.
    let handle: OpaquePointer
    /// For long-lived calls, whose events come to this queue's thread.
    let streamQueues = StreamQueues()
    /// Passed by every start of an operation on this queue or on ``streamQueues``, and held by a turn for all starts in it.
    let gate = OperationGate()
    /// Passed by wake-ups: they go on until the thread has nothing more to wait for.
    let wakeupGate = OperationGate()
    /// What other threads bring.
    let mailbox = Mailbox()
    private let lateEvents = LateEvents()
    private let threadID = Atomic<UInt>(0)
    /// Counts the beginnings and ends of polls: odd while the thread polls.
    private let pollCount = Atomic<UInt>(0)
    private let wakeup: Wakeup
    /// Polls until then do not wait.
    private let now = gpr_inf_past(GPR_CLOCK_MONOTONIC)

    // The thread's own.
    private var jobs: [UnownedJob] = []
    private var runningJobs: [UnownedJob] = []
    /// Unchecked: touched several times for each send, and never while it is being changed.
    @exclusivity(unchecked) private var events: [Event] = []
    private var work: [any TurnWork] = []
    private(set) var isPolling = false
    private var budget = PollBudget()
    /// Whether this turn holds the gate.
    private(set) var holdsGate = false
    /// The number of the turn, which no other queue of the group uses.
    private var turn: UInt64
    /// Connections that hold back what is sent in this turn.
    private var gathering: [Cork] = []
    /// Operations that were complete when their start returned.
    private var immediateCompletions: UInt = 0

    /// After so many operations for which no task had to wait, the one that has had the last of them does wait.
    private static let immediateCompletionsInARow: UInt = 64

    /// Starts the thread.
    /// - Parameter index: Its place in its group.
    init(index: Int) throws(SystemError) {
        turn = UInt64(index + 1) << 48
        // Never NULL: it allocates and aborts on failure.
        handle = grpc_completion_queue_create_for_next(nil)
        wakeup = Wakeup(handle)
        try Thread.start(named: "grpc-queue-\(index)") { self.run() }
    }

    deinit {
        wakeup.destroy()
        grpc_completion_queue_destroy(handle)
    }
}

// MARK: - The thread

extension CompletionQueue {
    /// Whether the caller runs on this queue's thread.
    var isCurrent: Bool { threadID.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// From any thread: the number of the poll that the thread is in, and the processor time that the thread has used so far,
    /// in milliseconds; `nil` if it is not polling.
    var poll: (number: UInt, milliseconds: UInt64)? {
        let (number, thread) = (pollCount.load(ordering: .relaxed), threadID.load(ordering: .relaxed))
        guard number % 2 == 1, thread != 0 else { return nil }
        return (number, cgrpc_thread_milliseconds(pthread_t(thread)))
    }

    private func run() {
        threadID.store(UInt(pthread_self()), ordering: .relaxed)
        let never = gpr_inf_future(GPR_CLOCK_MONOTONIC)
        var isOpen = true
        while isOpen {
            let event = poll(until: hasWork ? now : never)
            holdsGate = gate.enter()
            isOpen = takeEvents(event)
            deliverPostedEvents()
            runJobs()
            runWork()
            endTurn()
        }
        end()
    }

    /// Delivers the event that a poll has given, and those that are there beside it. `false` if the queue has been shut down.
    private func takeEvents(_ first: grpc_event) -> Bool {
        var event = first
        defer { budget.turnEnded() }
        while true {
            switch event.type {
            case GRPC_OP_COMPLETE:
                deliver(event)
                guard budget.mayPollAfterEvent() else { return true }
            case GRPC_QUEUE_SHUTDOWN:
                return false
            default:
                guard budget.mayPollAfterNothing(before: work.lazy.map(\.sendCount).max() ?? 0) else { return true }
            }
            event = poll(until: now)
        }
    }

    private func poll(until deadline: gpr_timespec) -> grpc_event {
        isPolling = true
        pollCount.store(pollCount.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        defer {
            isPolling = false
            pollCount.store(pollCount.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
        }
        return grpc_completion_queue_next(handle, deadline, nil)
    }

    private var hasWork: Bool { !jobs.isEmpty || !events.isEmpty || !work.isEmpty }

    private func deliver(_ event: grpc_event) {
        if let tag = Tag(event.tag) {
            tag.deliver(succeeded: event.success != 0)
        } else {
            takeMail()
        }
    }

    private func deliverPostedEvents() {
        while !events.isEmpty {
            var batch: [Event] = []
            swap(&batch, &events)
            for event in batch {
                event.tag.deliver(succeeded: event.succeeded)
            }
        }
    }

    /// Runs the jobs that are ready; those that they make ready wait for the next turn.
    private func runJobs() {
        swap(&jobs, &runningJobs)
        for job in runningJobs {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    /// A call is about to send something on a connection: what belongs together leaves in one piece, when the turn ends. Does
    /// nothing on other threads.
    func gather(_ cork: Cork) {
        if isCurrent, cork.gather(in: turn) { gathering.append(cork) }
    }

    private func endTurn() {
        turn += Cork.turnStep
        for cork in gathering { cork.release() }
        gathering.removeAll(keepingCapacity: true)
        guard holdsGate else { return }
        holdsGate = false
        leaveGate()
    }

    /// Last, so that all that came in this turn goes out in one go.
    private func runWork() {
        guard !work.isEmpty else { return }
        var batch: [any TurnWork] = []
        swap(&batch, &work)
        for work in batch { work.run() }
    }

    private func takeMail() {
        mailbox.wakeupArrived { mail in
            jobs += mail.jobs
            events += mail.events
            work += mail.work
            mail.jobs.removeAll(keepingCapacity: true)
            mail.events.removeAll(keepingCapacity: true)
            mail.work.removeAll(keepingCapacity: true)
        }
    }

    private func end() {
        let (rest, waiting) = mailbox.end()
        jobs += rest.jobs
        events += rest.events
        deliverPostedEvents()
        let unbegun = work + rest.work
        work = []
        threadID.store(0, ordering: .relaxed)
        // What it calls back finds a queue that has ended.
        for item in unbegun { item.queueHasEnded() }
        lateEvents.threadHasEnded()
        for job in jobs {
            globalConcurrentExecutor.enqueue(ExecutorJob(job))
        }
        jobs = []
        for continuation in waiting {
            continuation.resume()
        }
    }
}

// MARK: - Work from anywhere

extension CompletionQueue {
    /// Queues a task's job. Thread-safe. After the group has been shut down jobs go to Swift's global executor, so no task hangs.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // While the thread polls, what it appended here would not end its wait.
        if isCurrent && !isPolling {
            jobs.append(job)
        } else if !bring({ $0.jobs.append(job) }) {
            globalConcurrentExecutor.enqueue(ExecutorJob(job))
        }
    }

    /// Has work done at the end of the current turn, or soon. Thread-safe.
    func perform(_ item: any TurnWork) {
        if isCurrent && !isPolling {
            work.append(item)
        } else if !bring({ $0.work.append(item) }) {
            item.queueHasEnded()
        }
    }

    /// Queues the event of an operation on one of the callback queues. Thread-safe.
    func post(_ event: Event) {
        if isCurrent && !isPolling {
            events.append(event)
        } else if !bring({ $0.events.append(event) }) {
            lateEvents.deliver(event)
        }
    }

    /// Brings work from another thread and wakes this one; `false` if it has ended.
    private func bring(_ add: (inout Mailbox.Contents) -> Void) -> Bool {
        let outcome = mailbox.bring(add)
        // Once the gate is closed the thread ends without a wake-up, and takes what has been brought as it does.
        if outcome == .needsWakeup, wakeupGate.enter() {
            wakeup.start()
            if wakeupGate.leave() { grpc_completion_queue_shutdown(handle) }
        }
        return outcome != .hasEnded
    }

    /// On the queue's own thread, right after the start of an operation on a callback queue: whether it succeeded, if it
    /// is complete already. Its event is then taken.
    func takePostedEvent(of tag: Tag) -> Bool? {
        guard isCurrent, let last = events.last, last.tag.pointer == tag.pointer else { return nil }
        events.removeLast()
        tag.release()
        return last.succeeded
    }

    /// Counts an operation for which its task did not wait. Now and then the task is to yield, so that a stream for which
    /// everything is always there shares the thread; never on another one.
    func shouldYield() -> Bool {
        guard isCurrent else { return false }
        immediateCompletions &+= 1
        return immediateCompletions % Self.immediateCompletionsInARow == 0
    }
}
