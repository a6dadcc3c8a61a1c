import Dispatch
import GRPC
import Synchronization

/// Why a worker did not take a job.
enum WorkerRefusal {
    /// So much waits already that this would have to wait too long.
    case tooMuchWaits
    case closed
}

/// A thread that does what it is given in the order in which it came: each time, all that waits at once.
///
/// For work that blocks, which the threads of event loops must not do. Thread-safe.
final class BatchWorker<Job: Sendable>: Sendable {
    /// Does the jobs. Runs on the worker's thread alone; without jobs when nothing came for a `tick`.
    typealias Work = @Sendable ([Job]) -> Void

    private struct State {
        var jobs: [Job] = []
        var cost = 0
        var isClosed = false
        var hasEnded = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    /// Signalled when jobs come to where none were.
    private let arrival = DispatchSemaphore(value: 0)
    private let limit: Int

    /// Starts the thread.
    /// - Parameters:
    ///   - name: What debuggers show, 15 bytes at the most.
    ///   - limit: What jobs that wait may cost together.
    ///   - tick: How long it waits for jobs before it works without; without end if there is none.
    ///   - atEnd: The thread's last work, after the closing.
    init(
        named name: String,
        limit: Int,
        tick: Duration? = nil,
        work: @escaping Work,
        atEnd: @escaping @Sendable () -> Void = {}
    ) throws(SystemError) {
        self.limit = limit
        try Thread.start(named: name) { [self] in
            run(tick: tick, work)
            atEnd()
            end()
        }
    }

    /// Gives the thread one more job.
    /// - Returns: `nil`, or why it does not take it.
    func submit(_ job: Job, cost: Int = 1) -> WorkerRefusal? {
        let (isFirst, refusal) = state.withLock { state -> (Bool, WorkerRefusal?) in
            guard !state.isClosed else { return (false, .closed) }
            guard state.cost + cost <= limit || state.jobs.isEmpty else { return (false, .tooMuchWaits) }
            state.jobs.append(job)
            state.cost += cost
            return (state.jobs.count == 1, nil)
        }
        if isFirst { arrival.signal() }
        return refusal
    }

    /// Takes no more jobs, and returns when the thread has done those that it has.
    func close() async {
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                state.isClosed = true
                if !state.hasEnded { state.waitingForEnd.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() } else { arrival.signal() }
        }
    }

    private func run(tick: Duration?, _ work: Work) {
        while true {
            let deadline = tick.map { DispatchTime.now() + .milliseconds(Int($0 / .milliseconds(1))) }
            let timedOut = arrival.wait(timeout: deadline ?? .distantFuture) == .timedOut
            let (jobs, isClosed) = state.withLock { state in
                var jobs: [Job] = []
                swap(&jobs, &state.jobs)
                state.cost = 0
                return (jobs, state.isClosed)
            }
            if !jobs.isEmpty || timedOut { work(jobs) }
            if jobs.isEmpty && isClosed { return }
            // What was taken may have been the job that the closing's signal was for.
            if isClosed { arrival.signal() }
        }
    }

    private func end() {
        let waiting = state.withLock { state in
            state.hasEnded = true
            return state.waitingForEnd
        }
        for continuation in waiting { continuation.resume() }
    }
}
