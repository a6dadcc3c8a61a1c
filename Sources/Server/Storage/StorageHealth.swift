import Logging
import Synchronization

/// Whether messages can be stored, as far as is known. Thread-safe.
///
/// A storage has several connections, each with a ``FailureLog``. It works while none of them fails.
final class StorageHealth: Sendable {
    private let failing = Mutex(0)
    private let onChange: @Sendable (_ works: Bool) -> Void

    /// - Parameter onChange: Called at each change, in order. It must not block.
    init(onChange: @escaping @Sendable (_ works: Bool) -> Void = { _ in }) {
        self.onChange = onChange
    }

    fileprivate func change(by count: Int) {
        failing.withLock { failing in
            let didWork = failing == 0
            failing += count
            if didWork != (failing == 0) { onChange(failing == 0) }
        }
    }
}

/// Logs when a part of the storage begins to fail and when it works again, instead of every failure. Thread-safe.
final class FailureLog: Sendable {
    private struct Failure {
        let message: StaticString
        let start: ContinuousClock.Instant
        let last: ContinuousClock.Instant
    }

    private let logger: Logger
    private let health: StorageHealth?
    private let failure = Mutex<Failure?>(nil)

    /// - Parameter health: Counts this part, unless messages can be stored without it.
    init(logger: Logger, health: StorageHealth? = nil) {
        self.logger = logger
        self.health = health
    }

    /// Logs it, unless the same message was the last one.
    func failed(_ message: StaticString, _ metadata: Logger.Metadata) {
        let isNew = failure.withLock { failure in
            let now = ContinuousClock.now
            let isNew = failure?.message.description != message.description
            if failure == nil { health?.change(by: 1) }
            failure = Failure(message: message, start: failure?.start ?? now, last: now)
            return isNew
        }
        if isNew { logger.error("\(message)", metadata: metadata) }
    }

    func failed(_ message: StaticString, _ error: any Error) {
        failed(message, ["error": "\(error)"])
    }

    func recovered() {
        let start = failure.withLock { failure in
            defer { failure = nil }
            if failure != nil { health?.change(by: -1) }
            return failure?.start
        }
        if let start { logger.info("the history works again", metadata: ["after": "\(ContinuousClock.now - start)"]) }
    }

    /// Whether it fails, and the last attempt is at least this long ago.
    func hasFailed(before age: Duration) -> Bool {
        failure.withLock { failure in failure.map { $0.last + age <= .now } ?? false }
    }
}
