import GRPC
import Logging
import Messenger
import SQLite
import ServiceLifecycle

extension SQLiteStore {
    /// Opens the file, or makes it. A stop of the program ends the checks of a big one.
    static func open(
        path: String,
        sync: SQLiteFile.Sync,
        retention: Retention,
        logger: Logger
    ) async throws(StartError) -> SQLiteStore {
        let interrupt = Interrupt(lockPatience: lockPatience)
        let opening: @Sendable () throws(StartError) -> SQLiteStore = { () throws(StartError) in
            try SQLiteStore(path: path, sync: sync, retention: retention, interrupt: interrupt, logger: logger)
        }
        let result: Result<SQLiteStore, StartError> = await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                do {
                    try Thread.start(named: "history-open") {
                        continuation.resume(returning: Result(catching: opening))
                    }
                } catch {
                    let error = StartError(.unavailable, "Cannot open the history: \(error)")
                    continuation.resume(returning: .failure(error))
                }
            }
        } onGracefulShutdown: {
            interrupt.trigger()
        }
        return try result.get()
    }
}
