internal import CGRPC
internal import Glibc
internal import Synchronization

/// An event loop: one thread that polls a completion queue of the core, and the task executor of the queue's calls.
///
/// The thread works in *turns*. A turn takes all events, runs the jobs of Swift tasks that became ready, and writes
/// what they have sent. A task that prefers this executor runs on the thread that polls its calls, so an event resumes
/// it without a switch of threads.
///
/// A handler that blocks the thread blocks every call on the queue.
///
/// `@unchecked`: the core allows these uses of its handles from any thread, `gate` keeps starts and shutdown apart, and
/// only the thread itself uses the properties below "The thread's own".
public final class CompletionQueue: TaskExecutor, @unchecked Sendable {
    /// The queue that the thread polls.
    let handle: OpaquePointer
    /// For long-lived calls. Their events come to this queue's thread.
    let streamQueues: StreamQueues
    /// Every start of an operation on this queue or on ``streamQueues`` enters it. A turn enters it once for all of its
    /// starts.
    let gate = OperationGate()
    /// Wake-ups enter this one: they are still needed after `gate` is closed, until the thread ends.
    let wakeupGate = OperationGate()
    let mailbox = Mailbox()
    private let threadID = Atomic<UInt>(0)
    /// Counts the beginnings and ends of polls, so it is odd while the thread polls.
    private let pollCount = Atomic<UInt>(0)
    private let wakeup: Wakeup
    /// A deadline in the past: polls do not wait.
    private let now = gpr_inf_past(GPR_CLOCK_MONOTONIC)

    // The thread's own.
    private var jobs: [UnownedJob] = []
    private var runningJobs: [UnownedJob] = []
    /// Unchecked, because each send accesses it several times. No access overlaps a change.
    @exclusivity(unchecked) private var events: [Event] = []
    private var work: [Work] = []
    private(set) var isPolling = false
    private var budget = PollBudget()
    /// Whether this turn is inside the gate.
    private(set) var holdsGate = false
    /// The turn's number. No other queue of the group uses the same one.
    private var turn: UInt64
    /// Connections whose writes wait for the end of this turn.
    private var coalescing: [WriteCoalescer] = []
    /// Operations that were complete when their start returned.
    private var immediateCompletions: UInt = 0

    /// After this many operations that completed immediately, a task yields once, so that other calls get their turn.
    private static let immediateCompletionsInARow: UInt = 64

    /// Starts the thread.
    /// - Parameters:
    ///   - index: The queue's place in its group.
    ///   - core: Callback queues need a known one.
    init(index: Int, core: CoreVersion = .linked) throws(SystemError) {
        streamQueues = StreamQueues(isClosed: !core.isKnown)
        turn = UInt64(index + 1) << 48
        // Never NULL: the core aborts if it cannot allocate.
        handle = grpc_completion_queue_create_for_next(nil)
        wakeup = Wakeup(handle)
        // The thread may begin before or after this has returned.
        threadID.store(try Thread.start(named: "grpc-queue-\(index)") { self.run() }, ordering: .relaxed)
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

    /// Whether the thread has ended.
    var hasEnded: Bool { threadID.load(ordering: .relaxed) == 0 }

    /// The number of the poll that the thread is in; `nil` if it is not polling. Thread-safe.
    var currentPoll: UInt? {
        let number = pollCount.load(ordering: .relaxed)
        return number % 2 == 1 ? number : nil
    }

    /// Calls `body` with the thread, which must not end meanwhile.
    func withThread<Result>(_ body: (pthread_t) -> Result) -> Result {
        body(pthread_t(threadID.load(ordering: .relaxed)))
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

    /// Delivers the event of a poll, and those that follow at once. `false` if the queue has been shut down.
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
                guard budget.mayPollAfterNothing(before: work.lazy.map { $0.sendCount() }.max() ?? 0) else {
                    return true
                }
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

    /// Runs the jobs that are ready. Jobs that become ready meanwhile wait for the next turn.
    private func runJobs() {
        swap(&jobs, &runningJobs)
        for job in runningJobs {
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
        runningJobs.removeAll(keepingCapacity: true)
    }

    /// Runs last, so that everything that arrived in this turn leaves together.
    private func runWork() {
        guard !work.isEmpty else { return }
        var batch: [Work] = []
        swap(&batch, &work)
        for work in batch { work.run() }
    }

    private func endTurn() {
        turn += WriteCoalescer.turnStep
        for coalescer in coalescing { coalescer.release() }
        coalescing.removeAll(keepingCapacity: true)
        guard holdsGate else { return }
        holdsGate = false
        leaveGate()
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
        let waiting = mailbox.end()
        // Before the last callbacks, which must find a queue that has ended.
        threadID.store(0, ordering: .relaxed)
        deliver(Mailbox.Contents(jobs: jobs, events: events, work: work))
        deliverRest()
        (jobs, events, work) = ([], [], [])
        for continuation in waiting {
            continuation.resume()
        }
    }

    /// Acts in place of the thread, which has ended. The core may call back for the last events of a callback queue
    /// after it has said that the queue is drained.
    private func deliverRest() {
        while let contents = mailbox.takeRest() { deliver(contents) }
    }

    private func deliver(_ contents: Mailbox.Contents) {
        for event in contents.events { event.tag.deliver(succeeded: event.succeeded) }
        for work in contents.work { work.run() }
        for job in contents.jobs { globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
    }
}

// MARK: - Work from any thread

extension CompletionQueue {
    /// Queues a task's job. Thread-safe. After the group has been shut down, jobs go to Swift's global executor, so
    /// that no task hangs.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // While the thread polls, a job appended here would not end its wait.
        if isCurrent && !isPolling { jobs.append(job) } else { bring { $0.jobs.append(job) } }
    }

    /// Runs `body` at the end of the current turn, or of the next one. What it sends leaves together with everything
    /// else that the turn has sent. After the thread has ended, tasks of Swift's global executor run in its place, one at
    /// a time.
    /// Thread-safe.
    /// - Parameter sendCount: How many messages `body` is about to send, if there can be many.
    func execute(sendCount: @escaping @Sendable () -> Int = { 0 }, _ body: @escaping @Sendable () -> Void) {
        let item = Work(run: body, sendCount: sendCount)
        if isCurrent && !isPolling { work.append(item) } else { bring { $0.work.append(item) } }
    }

    /// Queues the event of an operation on a callback queue. Thread-safe.
    func post(_ event: Event) {
        if isCurrent && !isPolling { events.append(event) } else { bring { $0.events.append(event) } }
    }

    /// Puts something into the mailbox and wakes the thread.
    private func bring(_ add: (inout Mailbox.Contents) -> Void) {
        switch mailbox.bring(add) {
        case .added: break
        case .needsWakeup:
            // Once the gate is closed, the thread ends without a wake-up and empties the mailbox then.
            guard wakeupGate.enter() else { return }
            wakeup.start()
            if wakeupGate.leave() { grpc_completion_queue_shutdown(handle) }
        case .needsTaker: Task.detached { self.deliverRest() }
        }
    }

    /// A call is about to send on this connection. What one turn sends on it leaves in one write. Does nothing on other
    /// threads.
    func coalesceWrites(of coalescer: WriteCoalescer) {
        if isCurrent, coalescer.willSend(inTurn: turn) { coalescing.append(coalescer) }
    }

    /// Runs `start`, which starts an operation on this queue. If the operation is complete when that returns, its event
    /// need not be polled for: it is among the events of this turn then.
    func keepingEvent<Result>(of start: () -> Result) -> Result {
        guard isCurrent, !isPolling else { return start() }
        grpc_completion_queue_thread_local_cache_init(handle)
        defer {
            var tag: UnsafeMutableRawPointer?
            var succeeded: CInt = 0
            if grpc_completion_queue_thread_local_cache_flush(handle, &tag, &succeeded) != 0, let tag = Tag(tag) {
                events.append(Event(tag: tag, succeeded: succeeded != 0))
            }
        }
        return start()
    }

    /// Delivers the event of an operation that has just been started, if it is complete already. So the call need not
    /// wait for the next turn, nor its task suspend.
    func deliverPostedEvent(of tag: Tag) {
        guard isCurrent, let last = events.last, last.tag.pointer == tag.pointer else { return }
        events.removeLast()
        tag.deliver(succeeded: last.succeeded)
    }

    /// Counts an operation that completed immediately. `true` if the task is to yield now. Always `false` on other
    /// threads.
    func shouldYield() -> Bool {
        guard isCurrent else { return false }
        immediateCompletions &+= 1
        return immediateCompletions % Self.immediateCompletionsInARow == 0
    }
}
