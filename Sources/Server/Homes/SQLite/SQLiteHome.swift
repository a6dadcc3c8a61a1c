import GRPC
import Logging
import Messenger
import Synchronization

/// A home in a file of SQLite's: one machine, one server, and nothing lost with the process.
///
/// One thread writes. While it waits for the disk, messages gather; it then keeps all of them in the next transaction,
/// so the disk is waited for once for many. Another thread reads, for those who have fallen behind memory.
final class SQLiteHome: HistoryHome {
    private struct Append: Sendable {
        let author: String
        let text: String
        let continuation: CheckedContinuation<Result<SendTime, HomeError>, Never>
    }

    private struct Read: Sendable {
        let time: SendTime
        let count: Int
        let continuation: CheckedContinuation<Result<[Message], HomeError>, Never>
    }

    private enum Writer {
        case waitsForTail(SQLiteLog)
        case writes(BatchWorker<Append>)
    }

    private let file: SQLiteFile
    private let retention: Retention
    private let logger: Logger
    private let writer: Mutex<Writer>
    private let reader: BatchWorker<Read>
    private let held: Mutex<SendTime>
    /// The time of the last message at the start: the tail begins here.
    let latest: SendTime

    /// What messages that wait for the disk may take in memory.
    private static let waitingBytes = 64 << 20
    /// What one of them takes beside its author and text, about.
    private static let waitingOverhead = 256
    private static let waitingReads = 100_000

    /// Opens the file, or makes it. Blocks while all of it is checked.
    init(
        path: String,
        sync: SQLiteFile.Sync,
        retention: Retention,
        logger: Logger
    ) throws(StartError) {
        let file = try SQLiteFile(path: path)
        let connection = try file.connect(sync: sync, start: .now())
        do {
            let log = try SQLiteLog(connection, retention: retention)
            let source = try SQLiteReader(try file.connectReader())
            reader = try BatchWorker(named: "history-reader", limit: Self.waitingReads) { reads in
                for read in reads { Self.serve(read, from: source) }
            }
            held = Mutex(log.heldAfter)
            latest = log.latest
            writer = Mutex(.waitsForTail(log))
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

    func follow(into tail: some HistoryTail) throws(StartError) {
        do {
            try writer.withLock { writer in
                guard case .waitsForTail(let log) = writer else { return }
                let outages = Outages(logger: logger)
                let worker = try BatchWorker<Append>(
                    named: "history-writer",
                    limit: Self.waitingBytes,
                    tick: retention.age == nil ? nil : .seconds(1),
                    work: { [self] in keep($0, in: log, tail, outages) },
                    atEnd: { log.tidyUp() }
                )
                writer = .writes(worker)
            }
        } catch {
            throw StartError(.unavailable, "Cannot write the history: \(error)")
        }
    }

    func append(author: String, text: String) async throws(HomeError) -> SendTime {
        guard let worker else { throw .closed }
        let result = await withCheckedContinuation { continuation in
            let append = Append(author: author, text: text, continuation: continuation)
            let cost = author.utf8.count + text.utf8.count + Self.waitingOverhead
            if let refusal = worker.submit(append, cost: cost) {
                continuation.resume(returning: .failure(HomeError(refusal)))
            }
        }
        return try result.get()
    }

    func read(after time: SendTime, atMost count: Int) async throws(HomeError) -> [Message] {
        let result = await withCheckedContinuation { continuation in
            if let refusal = reader.submit(Read(time: time, count: count, continuation: continuation)) {
                continuation.resume(returning: .failure(HomeError(refusal)))
            }
        }
        return try result.get()
    }

    func close() async {
        await worker?.close()
        await reader.close()
        file.release()
    }

    private var worker: BatchWorker<Append>? {
        writer.withLock { writer in
            guard case .writes(let worker) = writer else { return nil }
            return worker
        }
    }

    /// On the writer's thread.
    private func keep(_ appends: [Append], in log: SQLiteLog, _ tail: some HistoryTail, _ outages: Outages) {
        let messages = zip(appends, tail.reserve(appends.count)).map { append, time in
            Message(author: append.author, text: append.text, sendTime: time)
        }
        do {
            try log.append(messages, now: .now())
        } catch {
            let refusal = outages.began(error)
            for append in appends { append.continuation.resume(returning: .failure(refusal)) }
            return
        }
        outages.ended()
        held.withLock { $0 = log.heldAfter }
        guard !messages.isEmpty else { return }
        // First the readers: so a sender that has been answered finds its message already there.
        tail.publish(messages)
        for (append, message) in zip(appends, messages) {
            append.continuation.resume(returning: .success(message.sendTime))
        }
    }

    /// On the reader's thread.
    private static func serve(_ read: Read, from source: SQLiteReader) {
        let result: Result<[Message], HomeError>
        do {
            let (heldAfter, messages) = try source.read(after: read.time, atMost: read.count)
            result = read.time >= heldAfter ? .success(messages) : .failure(.noLongerHeld(heldAfter: heldAfter))
        } catch {
            result = .failure(.unavailable(.cannotBeRead))
        }
        read.continuation.resume(returning: result)
    }
}

extension HomeError {
    init(_ refusal: WorkerRefusal) {
        switch refusal {
        case .tooMuchWaits: self = .full(.tooMuchWaits)
        case .closed: self = .closed
        }
    }
}
