import GRPC
import Logging
import Messenger
import Synchronization

/// A home in a file of SQLite's: one machine, one server, and nothing lost with the process.
///
/// One thread writes. While it waits for the disk, messages gather; it then keeps all of them in the next transaction,
/// so the disk is waited for once for many. Another thread reads, for those who have fallen behind memory.
final class SQLiteHome: HistoryHome {
    private let file: SQLiteFile
    private let retention: Retention
    private let logger: Logger
    /// The writer's thread's own, as soon as there is one.
    private let log: Mutex<SQLiteLog>
    private let writer = Mutex<BatchWorker<AppendJob>?>(nil)
    private let reader: BatchWorker<ReadJob>
    private let held: Mutex<SendTime>
    /// The time of the last message at the start: the tail begins here.
    let latest: SendTime

    /// Opens the file, or makes it. Blocks while all of it is checked.
    init(
        path: String,
        sync: SQLiteFile.Sync,
        retention: Retention,
        logger: Logger
    ) throws(StartError) {
        let file = try SQLiteFile(path: path)
        let database = try file.connect(sync: sync, start: .now())
        do {
            let log = try SQLiteLog(database, retention: retention)
            let source = Mutex(try SQLiteReader(try file.connectReader()))
            reader = try BatchWorker(named: "history-reader", limit: ReadJob.limit) { reads in
                source.withLock { source in
                    for read in reads { Self.serve(read, from: source) }
                }
            }
            held = Mutex(log.heldAfter)
            latest = log.latest
            self.log = Mutex(log)
        } catch let error as StartError {
            throw error
        } catch {
            throw StartError(.unavailable, "Cannot open the history in \(path): \(error)")
        }
        self.file = file
        self.retention = retention
        self.logger = logger
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
                    tick: retention.age == nil ? nil : .seconds(1),
                    work: { [self] jobs in log.withLock { keep(jobs, in: &$0, tail, outages) } },
                    atEnd: { [self] in log.withLock { $0.tidyUp() } }
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

    func read(after time: SendTime, atMost most: HistoryPage.Size) async throws(HomeError) -> HistoryPage {
        try await reader.read(after: time, atMost: most)
    }

    func close() async {
        await worker?.close()
        await reader.close()
        file.release()
    }

    private var worker: BatchWorker<AppendJob>? { writer.withLock { $0 } }

    /// On the writer's thread.
    private func keep(_ jobs: [AppendJob], in log: inout SQLiteLog, _ tail: HistoryTail, _ outages: Outages) {
        let messages = zip(jobs, tail.reserve(jobs.count)).map { job, time in
            Message(author: job.author, text: job.text, sendTime: time)
        }
        do {
            try log.append(messages, now: .now())
        } catch {
            let refusal = outages.began(error)
            for job in jobs { job.completion(.failure(refusal)) }
            return
        }
        let heldAfter = log.heldAfter
        held.withLock { $0 = heldAfter }
        // Where nothing was to be kept, nothing may have been written.
        guard !messages.isEmpty else { return }
        outages.ended()
        // First the readers: so a sender that has been answered finds its message already there.
        tail.publish(messages)
        for (job, message) in zip(jobs, messages) {
            job.completion(.success(message.sendTime))
        }
    }

    /// On the reader's thread.
    private static func serve(_ read: ReadJob, from source: SQLiteReader) {
        let result: Result<HistoryPage, HomeError>
        do {
            let (heldAfter, messages) = try source.read(after: read.time, atMost: read.most)
            let page = HistoryPage(messages: messages, upTo: messages.last?.sendTime ?? read.time)
            result = read.time >= heldAfter ? .success(page) : .failure(.noLongerHeld(heldAfter: heldAfter))
        } catch {
            result = .failure(.unavailable(.cannotBeRead))
        }
        read.continuation.resume(returning: result)
    }
}
