import Logging
import SQLite
import Synchronization

/// Tells the operator when a store begins to fail and when it is well again, not of each message that fails. Thread-safe.
final class Outages: Sendable {
    private let logger: Logger
    private let since = Mutex<ContinuousClock.Instant?>(nil)

    init(logger: Logger) {
        self.logger = logger
    }

    func began(_ what: String, _ error: any Error) {
        let isFirst = since.withLock { since in
            guard since == nil else { return false }
            since = .now
            return true
        }
        if isFirst { logger.error("\(what)", metadata: ["error": "\(error)"]) }
    }

    func ended() {
        let began = since.withLock { since in
            defer { since = nil }
            return since
        }
        if let began { logger.info("the history is well again", metadata: ["after": "\(ContinuousClock.now - began)"]) }
    }
}

extension Outages {
    /// - Returns: What senders are told.
    func began(_ error: SQLiteError) -> StorageError {
        began("the history cannot be written", error)
        return error.isFull
            ? .full(.diskIsFull)
            : .unavailable(.cannotBeWritten)
    }
}
