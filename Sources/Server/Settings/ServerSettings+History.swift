import LibGRPC
import Messenger
import SQLite
import UnixSignals

extension ServerSettings {
    /// Checks the file of a history and says what is in it, if that is all that is asked for.
    ///
    /// - Returns: Whether it is.
    func checkHistoryFile() async throws(StartError) -> Bool {
        guard let setting = checkHistory else { return false }
        guard backup == nil else { throw StartError(.badUsage, "--backup and --check-history exclude each other") }
        let path = try Self.path(setting, of: "--check-history")
        let sync = history.historySync
        let content = try await Self.onThread { interrupt throws(StartError) in
            try StoredHistory(path, sync: sync, interrupt: interrupt).check()
        }
        print("The history in \(path.file) is sound: \(content)")
        return true
    }

    /// Copies the history to a new file and says what is in it, if that is all that is asked for.
    ///
    /// - Returns: Whether it is.
    func backUpHistory() async throws(StartError) -> Bool {
        guard let setting = backup else { return false }
        let source: String
        switch history.history {
        case .sqlite(let path): source = path
        case .unset, .memory:
            throw StartError(
                .badUsage,
                "A history in memory cannot be backed up. Name the file of a history: MESSENGER_HISTORY=sqlite:PATH"
            )
        case .redis:
            throw StartError(
                .badUsage,
                "--backup copies a history in a file. Back up a room in Redis with Redis: redis-cli --rdb FILE"
            )
        }
        let path = try DatabasePath(setting: source)
        let target = try Self.path(setting, of: "--backup")
        let sync = history.historySync
        let content = try await Self.onThread { interrupt throws(StartError) in
            try StoredHistory(path, sync: sync, interrupt: interrupt).backUp(to: target)
        }
        print("The history in \(path.file) is backed up to \(target.file): \(content)")
        return true
    }

    private static func path(_ setting: String, of flag: String) throws(StartError) -> DatabasePath {
        guard !setting.isEmpty, !DatabasePath.isURI(setting) else {
            throw StartError(.badUsage, "\(flag) needs the path of a file, such as /var/backups/messenger.db")
        }
        do {
            return try DatabasePath(setting: setting)
        } catch {
            throw StartError(error.code == .badConfiguration ? .badUsage : error.code, "\(flag): \(error.message)")
        }
    }

    /// Runs long work on a thread of its own. SIGTERM, SIGINT and SIGHUP interrupt it.
    private static func onThread(
        _ work: @escaping @Sendable (Interrupt) throws(StartError) -> StoredHistory.Content
    ) async throws(StartError) -> StoredHistory.Content {
        let interrupt = Interrupt(busyTimeout: 5000)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let watcher = Task {
            for await _ in signals { interrupt.trigger() }
        }
        defer { watcher.cancel() }
        let result: Result<StoredHistory.Content, StartError> = await withCheckedContinuation { continuation in
            do {
                try Thread.start(named: "history") {
                    continuation.resume(
                        returning: Result { () throws(StartError) in try work(interrupt) }
                    )
                }
            } catch {
                continuation.resume(returning: .failure(StartError(.unavailable, "\(error)")))
            }
        }
        return try result.get()
    }
}
