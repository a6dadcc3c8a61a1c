import GRPC
import Logging
import Messenger
import SQLite
import Synchronization

/// A store in a file of SQLite's: one machine, one server, and nothing lost with the process.
///
/// One thread writes. While it waits for the disk, messages gather; it then keeps all of them in the next transaction,
/// so the disk is waited for once for many. Another thread reads, for those who have fallen behind memory.
final class SQLiteStore: HistoryStore {
    /// The writer's thread's own, as soon as there is one.
    private struct Writing {
        var log: SQLiteLog
        var ageClock: AgeClock
        /// Of the file, when it was last looked at.
        var size: Int

        mutating func append(_ messages: [Message]) throws(SQLiteError) {
            try log.append(messages, now: ageClock.now())
        }

        mutating func isOverwritten(_ file: SQLiteFile, hasWritten: Bool) -> Bool {
            file.isOverwritten(since: &size, pageBytes: log.pageBytes, hasWritten: hasWritten)
        }
    }

    private let file: SQLiteFile
    private let logger: Logger
    /// `nil` when it is closed.
    private let writing: Mutex<Writing?>
    private let writer = Mutex<BatchWorker<AppendJob>?>(nil)
    private let reader: BatchWorker<ReadJob>
    private let checkpointer: Checkpointer
    private let held: Mutex<SendTime>
    /// Whether the file was removed or replaced: no message is accepted any more.
    private let isGone = Atomic(false)
    /// The time of the last message at the start: the tail begins here.
    let latest: SendTime

    /// How long one statement waits for a lock of another process, in milliseconds: always, and once the store is closing.
    static let lockPatience: Int32 = 5000
    private static let closingLockPatience: Int32 = 500
    /// How long the closing may take. With the calls' grace it has to be less than what those who stop a container allow,
    /// mostly ten seconds.
    private static let closingPatience = Duration.seconds(4)
    /// A file of so many bytes takes a noticeable time to check.
    private static let bigFile = 16 << 20
    /// How often it looks at the age of messages, at the length of the write-ahead log and whether the file is there.
    private static let upkeepInterval = Duration.seconds(1)

    /// Opens the file, or makes it. Blocks while all of it is checked.
    init(
        path: String,
        sync: SQLiteFile.Sync,
        retention: Retention,
        interrupt: Interrupt = Interrupt(lockPatience: SQLiteStore.lockPatience),
        logger: Logger
    ) throws(StartError) {
        var file = try SQLiteFile(path: path, interrupt: interrupt)
        if file.size >= Self.bigFile {
            let size = "\(file.size >> 20) MiB"
            logger.info("checking the history", metadata: ["file": "\(file.path.file)", "size": "\(size)"])
        }
        do {
            let checkpointer = Checkpointer()
            let writing = try Self.openWriter(file, sync, retention, checkpointer)
            let source = Mutex<SQLiteReader?>(try SQLiteReader(try file.connectAgain(sync: sync)))
            let connection = try file.connectAgain(sync: sync)
            try file.remember()
            try checkpointer.begin(connection)
            let outages = Outages(logger: logger)
            reader = try BatchWorker(
                named: "history-reader",
                limit: ReadJob.limit,
                work: { reads in
                    source.withLock { source in
                        for read in reads { Self.serve(read, from: source, outages) }
                    }
                },
                atEnd: { source.withLock { $0 = nil } }
            )
            latest = writing.log.latest
            held = Mutex(writing.log.heldAfter)
            self.writing = Mutex(writing)
            self.checkpointer = checkpointer
        } catch {
            // The connections have been closed.
            file.abandon()
            throw file.startError(error)
        }
        self.file = file
        self.logger = logger
    }

    private static func openWriter(
        _ file: SQLiteFile,
        _ sync: SQLiteFile.Sync,
        _ retention: Retention,
        _ checkpointer: Checkpointer
    ) throws -> Writing {
        var log = try SQLiteLog(
            try file.connect(sync: sync, start: .now()),
            retention: retention,
            checkpointer: checkpointer
        )
        guard log.latest <= .lastToBeginAfter else {
            throw file.damaged("it holds a message of \(log.latest), and later ones could not have a time")
        }
        let last = try AgeClock.lastBeforePause(latest: log.latest, age: retention.age, neighbors: log.neighbors)
        var ageClock = AgeClock(latest: last, age: retention.age)
        try log.trim(now: ageClock.now()) { file.interrupt.isTriggered }
        return Writing(log: log, ageClock: ageClock, size: file.fileSize)
    }

    var heldAfter: SendTime { held.withLock { $0 } }
    /// A message is in the tail before its sender is told; then this says nothing new.
    var acknowledged: SendTime { latest }
    var clockTolerance: Duration { .zero }

    func follow(into tail: HistoryTail) throws(StartError) {
        do {
            try writer.withLock { writer in
                guard writer == nil else { return }
                let outages = Outages(logger: logger)
                writer = try BatchWorker(
                    named: "history-writer",
                    limit: AppendJob.limit,
                    tick: Self.upkeepInterval,
                    work: { [self] jobs in writing.withLock { keep(jobs, in: &$0, tail, outages) } }
                )
            }
        } catch {
            throw StartError(.unavailable, "Cannot write the history: \(error)")
        }
    }

    func append(author: String, text: String, completion: @escaping AppendCompletion) {
        guard let worker else { return completion(.failure(.closed)) }
        worker.append(author: author, text: text, completion: completion)
    }

    func read(after time: SendTime, atMost most: HistoryPage.Size) async throws(StorageError) -> HistoryPage {
        try await reader.read(after: time, atMost: most)
    }

    func close() async {
        file.interrupt.limitWaiting(to: Self.closingLockPatience)
        if await finishes(within: Self.closingPatience, { [self] in await closeInOrder() }) { return }
        logger.warning("the history does not close in time: what waits for it is given up")
        file.interrupt.trigger()
        _ = await finishes(within: .milliseconds(500)) { [self] in await closeInOrder() }
    }

    private func closeInOrder() async {
        await worker?.close()
        await reader.close()
        await checkpointer.close()
        // SQLite moves what is in the write-ahead log into the file with its last connection.
        writing.withLock { writing in
            writing?.log.tidyUp()
            writing = nil
        }
        file.release()
    }

    private var worker: BatchWorker<AppendJob>? { writer.withLock { $0 } }

    /// On the writer's thread.
    private func keep(_ jobs: [AppendJob], in writing: inout Writing?, _ tail: HistoryTail, _ outages: Outages) {
        guard writing != nil, !isGone.load(ordering: .relaxed) else { return refuse(jobs, .unavailable(.fileIsGone)) }
        let messages = zip(jobs, tail.reserve(jobs.count)).map { job, time in
            Message(author: job.author, text: job.text, sendTime: time)
        }
        do {
            try writing?.append(messages)
        } catch {
            return refuse(jobs, outages.began(error))
        }
        // Asked after the commit: what is in the file now can be acknowledged.
        let isInPlace = file.isInPlace
        guard isInPlace, writing?.isOverwritten(file, hasWritten: !messages.isEmpty) != true else {
            isGone.store(true, ordering: .relaxed)
            logger.error(
                "the history's file was removed or replaced: no message is accepted until a restart",
                metadata: ["file": "\(file.path.file)"]
            )
            // If the file itself is still there, it then has what was acknowledged before.
            if !isInPlace { writing?.log.tidyUp() }
            return refuse(jobs, .unavailable(.fileIsGone))
        }
        if let heldAfter = writing?.log.heldAfter { held.withLock { $0 = heldAfter } }
        // Where nothing was to be kept, nothing may have been written.
        guard !messages.isEmpty else {
            if file.hasLongWriteAheadLog { writing?.log.keepWriteAheadLogShort(isLong: true) }
            return
        }
        outages.ended()
        // First the readers: so a sender that has been answered finds its message already there.
        tail.publish(messages)
        for (job, message) in zip(jobs, messages) {
            job.completion(.success(message.sendTime))
        }
    }

    private func refuse(_ jobs: [AppendJob], _ error: StorageError) {
        for job in jobs { job.completion(.failure(error)) }
    }

    /// On the reader's thread.
    private static func serve(_ read: ReadJob, from source: SQLiteReader?, _ outages: Outages) {
        let result: Result<HistoryPage, StorageError>
        do {
            guard let source else { return read.continuation.resume(returning: .failure(.closed)) }
            let (heldAfter, messages) = try source.read(after: read.time, atMost: read.most)
            let page = HistoryPage(messages: messages, upTo: messages.last?.sendTime ?? read.time)
            result = read.time >= heldAfter ? .success(page) : .failure(.noLongerHeld(heldAfter: heldAfter))
            outages.ended()
        } catch {
            outages.began("the history cannot be read", error)
            result = .failure(.unavailable(.cannotBeRead))
        }
        read.continuation.resume(returning: result)
    }
}
