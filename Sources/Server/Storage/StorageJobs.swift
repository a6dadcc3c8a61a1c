import Messenger

// What the workers of storage are given: a job, and who waits for it.

/// A message that waits to be kept, and how its sender is told.
struct AppendJob: Sendable {
    let author: String
    let text: String
    let completion: AppendCompletion

    /// What such messages may take in memory together.
    static let limit = 64 << 20
    /// What one of them takes beside its author and text, about.
    fileprivate static let overhead = 256
}

/// A reader that has fallen behind memory, and the messages that it asks for.
struct ReadJob: Sendable {
    let time: SendTime
    let most: HistoryPage.Size
    let continuation: CheckedContinuation<Result<HistoryPage, StorageError>, Never>

    /// How many of them may wait.
    static let limit = 100_000
}

extension BatchWorker<AppendJob> {
    /// Gives the worker a message.
    func append(author: String, text: String, completion: @escaping AppendCompletion) {
        let job = AppendJob(author: author, text: text, completion: completion)
        if let refusal = submit(job, cost: author.utf8.count + text.utf8.count + AppendJob.overhead) {
            completion(.failure(StorageError(refusal)))
        }
    }
}

extension BatchWorker<ReadJob> {
    /// Asks the worker for messages, and waits for them.
    func read(after time: SendTime, atMost most: HistoryPage.Size) async throws(StorageError) -> HistoryPage {
        let result = await withCheckedContinuation { continuation in
            if let refusal = submit(ReadJob(time: time, most: most, continuation: continuation)) {
                // A reader tries again.
                let error = refusal == .closed ? StorageError.closed : .unavailable(.cannotBeReached)
                continuation.resume(returning: .failure(error))
            }
        }
        return try result.get()
    }
}

extension StorageError {
    fileprivate init(_ refusal: WorkerRefusal) {
        switch refusal {
        case .tooMuchWaits: self = .full(.tooMuchWaits)
        case .closed: self = .closed
        }
    }
}
