import Logging
import Messenger
import Synchronization

/// Why the storage could not do what it was asked to.
enum StorageError: Error, Equatable {
    /// Some of the requested messages are no longer stored, only those after this time.
    case noLongerHeld(heldAfter: SendTime)
    /// There is no space for the message. It was not stored.
    case full(Reason)
    /// The storage cannot be reached, written or read now. A message may have been stored.
    case unavailable(Reason)
    /// Another message was stored under the message's key.
    case keyIsTaken
    /// The storage has been closed. The message was not stored.
    case closed

    /// What clients are told. An enum without payload keeps the error small: `Room.next(_:)`, which can throw it, runs
    /// for every message of every reader.
    enum Reason: String {
        case diskIsFull = "the history's disk is full; the message was not accepted"
        case memoryIsFull = "the history's memory is full; the message was not accepted"
        case queueIsFull = "the queue of the history is full; the message was not accepted"
        case cannotBeWritten = "the history cannot be written now"
        case fileIsGone = "the history's file was removed or replaced; the server has to be restarted"
        case cannotBeRead = "the history cannot be read now"
        case cannotBeReached = "the history cannot be reached now"

        /// For programs: whether the storage is full, busy or away.
        var kind: String {
            switch self {
            case .diskIsFull, .memoryIsFull: "full"
            case .queueIsFull: "busy"
            case .cannotBeWritten, .fileIsGone, .cannotBeRead, .cannotBeReached: "away"
            }
        }
    }
}

/// Logs when the storage begins to fail and when it works again, instead of every failure. Thread-safe.
final class FailureLog: Sendable {
    private let logger: Logger
    private let since = Mutex<ContinuousClock.Instant?>(nil)

    init(logger: Logger) {
        self.logger = logger
    }

    func failed(_ message: String, _ error: any Error) {
        let isFirst = since.withLock { since in
            guard since == nil else { return false }
            since = .now
            return true
        }
        if isFirst { logger.error("\(message)", metadata: ["error": "\(error)"]) }
    }

    func recovered() {
        let start = since.withLock { since in
            defer { since = nil }
            return since
        }
        if let start { logger.info("the history works again", metadata: ["after": "\(ContinuousClock.now - start)"]) }
    }
}
