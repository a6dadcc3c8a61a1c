import LibGRPC
import Logging
import Messenger
import SQLite
import Synchronization

/// Stores the history in an SQLite database, for one server.
///
/// One thread writes. Messages that arrive while it waits for the disk form its next transaction (group commit).
/// Another thread reads, for readers that have fallen behind memory.
final class SQLiteStore: HistoryStore {
    /// What the writer's thread uses.
    private struct WriterState {
        var writer: SQLiteWriter
        var retentionClock: RetentionClock
        /// The size of the database at the last check.
        var databaseSize: Int
    }

    private let file: SQLiteFile
    private let logger: Logger
    private let health: StorageHealth
    private let commits = CommitMetrics()
    /// `nil` after the store was closed.
    private let writerState: Mutex<WriterState?>
    /// `nil` until ``follow(into:)``.
    private let writer = Mutex<BatchWorker<AppendJob>?>(nil)
    private let reader: BatchWorker<ReadJob>
    private let checkpointer: Checkpointer
    private let currentHeldAfter: Mutex<SendTime>
    /// Whether the file was removed or replaced. No message is accepted any more.
    private let isFileGone = Atomic(false)
    let latest: SendTime

    /// How long a statement waits for locks of other processes, in milliseconds.
    private static let busyTimeout: Int32 = 5000
    private static let busyTimeoutWhileClosing: Int32 = 500
    /// The time for ``close()``. Together with the grace period for calls it must stay below the 10 s after which
    /// container engines kill.
    private static let closeTimeout = Duration.seconds(4)
    /// Files from this size on take a noticeable time to check.
    private static let largeFile = 16 << 20
    /// How often the writer removes old messages, and checks the files, while nothing is sent.
    private static let upkeepInterval = Duration.seconds(1)
    /// While nothing is sent, a file that could not be written is tried again after this time.
    private static let retryInterval = Duration.seconds(10)

    /// Opens the file, or creates it, on a thread of its own. A shutdown of the program interrupts the check of a large
    /// file.
    static func open(
        path: String,
        sync: SQLiteFile.Sync,
        retention: RetentionPolicy,
        keys: IdempotencyKeys.Limits,
        logger: Logger,
        health: StorageHealth
    ) async throws(StartError) -> SQLiteStore {
        let interrupt = Interrupt(busyTimeout: busyTimeout)
        return try await opened(interrupt: interrupt.trigger) { () throws(StartError) in
            try SQLiteStore(
                path: path,
                sync: sync,
                retention: retention,
                keys: keys,
                interrupt: interrupt,
                logger: logger,
                health: health
            )
        }
    }

    /// Opens the file, or creates it. Blocks while it checks the file.
    init(
        path: String,
        sync: SQLiteFile.Sync,
        retention: RetentionPolicy,
        keys: IdempotencyKeys.Limits = .init(),
        interrupt: Interrupt = Interrupt(busyTimeout: SQLiteStore.busyTimeout),
        logger: Logger,
        health: StorageHealth = StorageHealth()
    ) throws(StartError) {
        var file = try SQLiteFile(path: path, interrupt: interrupt)
        let size = file.databaseSize + file.writeAheadLogSize
        if size >= Self.largeFile {
            logger.info(
                "checking the history",
                metadata: ["file": "\(file.path.file)", "size": "\(size >> 20) MiB"]
            )
        }
        do {
            var state = try Self.openWriter(file, sync, retention, keys)
            let source = Mutex<SQLiteReader?>(try SQLiteReader(try file.openAgain(sync: sync)))
            let connection = try file.openAgain(sync: sync)
            try file.recordOpenFiles()
            let failureLog = FailureLog(logger: logger)
            reader = try BatchWorker(
                named: "history-reader",
                limit: ReadJob.queueLimit,
                work: { jobs in
                    source.withLock { source in
                        for job in jobs { Self.read(job, from: source, failureLog) }
                    }
                },
                atEnd: { source.withLock { $0 = nil } }
            )
            checkpointer = try Checkpointer(connection)
            state.writer.checkpointer = checkpointer
            latest = state.writer.latest
            currentHeldAfter = Mutex(state.writer.heldAfter)
            writerState = Mutex(state)
        } catch {
            // All connections are closed.
            file.releaseAfterFailedStart()
            throw file.startError(error)
        }
        self.file = file
        self.logger = logger
        self.health = health
    }

    private static func openWriter(
        _ file: SQLiteFile,
        _ sync: SQLiteFile.Sync,
        _ retention: RetentionPolicy,
        _ keys: IdempotencyKeys.Limits
    ) throws -> WriterState {
        var writer = try SQLiteWriter(try file.open(sync: sync, start: .now()), retention: retention, keys: keys)
        guard writer.latest <= .maxHistoryEnd else {
            throw file.damaged("it contains a message of \(writer.latest), and no later times are possible")
        }
        let last = try RetentionClock.trustedStart(
            latest: writer.latest,
            age: retention.maxAge,
            neighbors: writer.neighbors
        )
        var retentionClock = RetentionClock(latest: last, age: retention.maxAge)
        try writer.trim(now: retentionClock.now()) { file.interrupt.isTriggered }
        return WriterState(writer: writer, retentionClock: retentionClock, databaseSize: file.databaseSize)
    }

    var heldAfter: SendTime { currentHeldAfter.withLock { $0 } }
    /// A message is in the tail before it is acknowledged, so this needs no update.
    var lastAcknowledged: SendTime { latest }
    var isShared: Bool { false }
    var now: SendTime { .now() }
    var maxClockSkew: Duration { .zero }

    func follow(into tail: HistoryTail) throws(StartError) {
        do {
            try writer.withLock { writer in
                guard writer == nil else { return }
                let failureLog = FailureLog(logger: logger, health: health)
                writer = try BatchWorker(
                    named: "history-writer",
                    limit: AppendJob.queueLimit,
                    tick: Self.upkeepInterval,
                    work: { [self] jobs in writerState.withLock { store(jobs, &$0, tail, failureLog) } }
                )
            }
        } catch {
            throw StartError(.unavailable, "Cannot write the history: \(error)")
        }
    }

    func append(_ message: NewMessage, completion: @escaping AppendCompletion) {
        guard let writer = startedWriter else { return completion(.failure(.closed)) }
        writer.append(message, completion: completion)
    }

    func read(after time: SendTime, limit: HistoryPage.Limit) async throws(StorageError) -> HistoryPage {
        try await reader.read(.page(after: time, limit: limit))
    }

    func position(beforeLast count: Int) async throws(StorageError) -> SendTime {
        try await reader.read(.position(beforeLast: count)).upTo
    }

    func close() async {
        file.interrupt.setBusyTimeout(Self.busyTimeoutWhileClosing)
        if await finishes(within: Self.closeTimeout, { [self] in await closeInOrder() }) { return }
        logger.warning("the history did not close in time; waiting messages are rejected")
        file.interrupt.trigger()
        _ = await finishes(within: .milliseconds(500)) { [self] in await closeInOrder() }
    }

    private func closeInOrder() async {
        await startedWriter?.close()
        await reader.close()
        await checkpointer.close()
        // Afterwards the database is the only file.
        writerState.withLock { state in
            state?.writer.truncateLog()
            state = nil
        }
        file.release()
    }

    private var startedWriter: BatchWorker<AppendJob>? { writer.withLock { $0 } }

    /// On the writer's thread. Without jobs, it only does the upkeep.
    private func store(_ jobs: [AppendJob], _ state: inout WriterState?, _ tail: HistoryTail, _ failureLog: FailureLog)
    {
        guard var current = state, !isFileGone.load(ordering: .relaxed) else {
            return fail(jobs, .unavailable(.fileIsGone))
        }
        defer { state = current }
        let outcomes: [SQLiteWriter.Outcome]
        do {
            let messages = zip(jobs, tail.reserve(jobs.count)).map { ($0.message, $1) }
            let start = ContinuousClock.now
            outcomes = try current.writer.append(messages, now: current.retentionClock.now())
            if !jobs.isEmpty { commits.committed(jobs.count, since: start) }
            if jobs.isEmpty, failureLog.hasFailed(before: Self.retryInterval) {
                for time in tail.reserve(1) { try current.writer.tryWriting(at: time) }
                failureLog.recovered()
            }
        } catch {
            failureLog.failed("the history cannot be written", error)
            return fail(jobs, error.isFull ? .full(.diskIsFull) : .unavailable(.cannotBeWritten))
        }
        // After the commit: a message may be acknowledged only if the next start finds its file.
        let isInPlace = file.isInPlace
        let isOverwritten = file.isOverwritten(
            since: &current.databaseSize,
            expectedSize: current.writer.databaseSize,
            isLogWritten: outcomes.contains { if case .stored = $0 { true } else { false } }
        )
        guard isInPlace, !isOverwritten else {
            isFileGone.store(true, ordering: .relaxed)
            failureLog.failed(
                "the history's file was removed or replaced: no message is accepted until a restart",
                ["file": "\(file.path.file)"]
            )
            // If only the log is gone, this still saves what was acknowledged before.
            if !isInPlace { current.writer.truncateLog() }
            return fail(jobs, .unavailable(.fileIsGone))
        }
        currentHeldAfter.withLock { $0 = current.writer.heldAfter }
        guard !outcomes.isEmpty else {
            if file.isWriteAheadLogTooLarge { current.writer.checkpointIfNeeded(isFileTooLarge: true) }
            return
        }
        failureLog.recovered()
        // Before the senders get their answers: then they find their messages when they read.
        let stored = zip(jobs, outcomes).compactMap { job, outcome in
            if case .stored(let sendTime) = outcome { Message(job.message, sendTime: sendTime) } else { nil }
        }
        if !stored.isEmpty { tail.publish(stored) }
        for (job, outcome) in zip(jobs, outcomes) {
            switch outcome {
            case .stored(let sendTime), .known(let sendTime): job.completion(.success(sendTime))
            case .keyIsTaken: job.completion(.failure(.keyIsTaken))
            }
        }
    }

    private func fail(_ jobs: [AppendJob], _ error: StorageError) {
        for job in jobs { job.completion(.failure(error)) }
    }

    /// On the reader's thread.
    private static func read(_ job: ReadJob, from source: SQLiteReader?, _ failureLog: FailureLog) {
        let result: Result<HistoryPage, StorageError>
        do {
            guard let source else { return job.continuation.resume(returning: .failure(.closed)) }
            switch job.request {
            case .page(let time, let limit):
                let (heldAfter, page) = try source.read(after: time, limit: limit)
                result = time >= heldAfter ? .success(page) : .failure(.noLongerHeld(heldAfter: heldAfter))
            case .position(let count):
                result = .success(HistoryPage(messages: [], upTo: try source.position(beforeLast: count)))
            }
            failureLog.recovered()
        } catch {
            failureLog.failed("the history cannot be read", error)
            result = .failure(.unavailable(.cannotBeRead))
        }
        job.continuation.resume(returning: result)
    }
}
