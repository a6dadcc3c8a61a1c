import Dispatch
import LibGRPC
import Messenger
import Synchronization

/// A thread with a queue: it handles jobs in order, each time all that are waiting.
///
/// For blocking work, which must not run on event loops. Thread-safe.
final class BatchWorker<Job: Sendable>: Sendable {
    /// Handles a batch on the worker's thread. The batch is empty if no job came within a `tick`.
    typealias Work = @Sendable ([Job]) -> Void

    private struct State {
        var jobs: [Job] = []
        var cost = 0
        var isClosed = false
        var hasEnded = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    /// Signalled when the queue is no longer empty.
    private let arrival = DispatchSemaphore(value: 0)
    private let limit: Int

    /// Starts the thread.
    /// - Parameters:
    ///   - name: For debuggers. At most 15 bytes.
    ///   - limit: The total cost of the jobs that may wait.
    ///   - tick: How long to wait for jobs before the work runs without any; `nil` to wait forever.
    ///   - atEnd: Runs on the thread after the last job.
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

    /// Adds a job to the queue.
    /// - Returns: `nil`, or why the job is rejected.
    func submit(_ job: Job, cost: Int = 1) -> JobRejection? {
        let (isFirst, rejection) = state.withLock { state -> (Bool, JobRejection?) in
            guard !state.isClosed else { return (false, .closed) }
            guard state.cost + cost <= limit || state.jobs.isEmpty else { return (false, .queueIsFull) }
            state.jobs.append(job)
            state.cost += cost
            return (state.jobs.count == 1, nil)
        }
        if isFirst { arrival.signal() }
        return rejection
    }

    /// Accepts no more jobs. Returns when the thread has handled those in the queue.
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
            // The wait may have consumed the signal from `close()`.
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

/// Why a worker rejects a job.
enum JobRejection {
    case queueIsFull
    case closed
}

// MARK: - Jobs of a store's workers

/// A message to store.
struct AppendJob: Sendable {
    let message: NewMessage
    let completion: AppendCompletion

    /// The memory that waiting messages may use, in bytes.
    static let queueLimit = 64 << 20
    /// The estimated bytes that a waiting message needs besides its author and text.
    fileprivate static let overhead = 256
}

/// A request of a reader for what is no longer in memory.
struct ReadJob: Sendable {
    enum Request: Sendable {
        /// The first messages after a time.
        case page(after: SendTime, limit: HistoryPage.Limit)
        /// Where the latest messages begin. The answer is an empty page up to that time.
        case position(beforeLast: Int)
    }

    let request: Request
    let continuation: CheckedContinuation<Result<HistoryPage, StorageError>, Never>

    /// How many may wait.
    static let queueLimit = 100_000
}

extension BatchWorker<AppendJob> {
    func append(_ message: NewMessage, completion: @escaping AppendCompletion) {
        let job = AppendJob(message: message, completion: completion)
        switch submit(job, cost: message.author.utf8.count + message.text.utf8.count + AppendJob.overhead) {
        case nil: break
        case .queueIsFull: completion(.failure(.full(.queueIsFull)))
        case .closed: completion(.failure(.closed))
        }
    }
}

extension BatchWorker<ReadJob> {
    func read(_ request: ReadJob.Request) async throws(StorageError) -> HistoryPage {
        let result = await withCheckedContinuation { continuation in
            switch submit(ReadJob(request: request, continuation: continuation)) {
            case nil: break
            // The reader retries.
            case .queueIsFull: continuation.resume(returning: .failure(.unavailable(.cannotBeReached)))
            case .closed: continuation.resume(returning: .failure(.closed))
            }
        }
        return try result.get()
    }
}

// MARK: - Deadlines

/// Waits for work until a deadline. After the deadline the work continues alone.
/// - Returns: Whether the work is done.
func finishes(within limit: Duration, _ work: @escaping @Sendable () async -> Void) async -> Bool {
    let (results, result) = AsyncStream.makeStream(of: Bool.self)
    Task {
        await work()
        result.yield(true)
    }
    let timer = Task {
        try? await Task.sleep(for: limit)
        result.yield(false)
    }
    defer { timer.cancel() }
    return await results.first { _ in true } ?? false
}
