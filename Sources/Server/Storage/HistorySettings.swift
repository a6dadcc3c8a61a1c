import ArgumentParser
import Logging
import Messenger
import Redis

/// The settings for where messages are stored beyond memory, and how long.
struct HistorySettings: ParsableArguments, Sendable {
    @Option(
        "MESSENGER_HISTORY",
        """
        Where messages are stored beyond memory: nowhere (memory:), in an SQLite file, or in Redis 7 or later, \
        where several servers can share one room. Only stored messages outlive a restart.
        """
    )
    var history: HistoryLocation = .unset

    @Option(
        "MESSENGER_HISTORY_FILE",
        "File that contains the value of MESSENGER_HISTORY, to keep a password out of variables and flags. Set one of the two."
    )
    var historyFile: FilePath = .none

    @Option(
        "MESSENGER_HISTORY_CA",
        """
        PEM file with the authorities that sign the certificate of Redis, for rediss://. Without it, those that the \
        system trusts.
        """
    )
    var historyAuthorities: FilePath = .none

    @Option(
        "MESSENGER_HISTORY_SYNC",
        """
        When a message counts as stored in SQLite: full, when the disk has it; normal, when the system has it. With \
        normal, a power failure may lose the last messages.
        """
    )
    var historySync: SQLiteFile.Sync = .full

    @Option("MESSENGER_HISTORY_KEEP_MESSAGES", in: 1...4_000_000_000, "Most messages that are stored beyond memory.")
    var historyKeepMessages: Count = 10_000_000

    @Option(
        "MESSENGER_HISTORY_KEEP_BYTES",
        in: .kibibytes(64) ... .mebibytes(65535),
        "Most bytes of messages that are stored in SQLite."
    )
    var historyKeepBytes: ByteCount = .mebibytes(1024)

    @Option("MESSENGER_HISTORY_KEEP_AGE", "How long messages are stored beyond memory; 0s for no limit.")
    var historyKeepAge: Duration = .zero

    @Option(
        "MESSENGER_IDEMPOTENCY_AGE",
        in: .seconds(1) ... .seconds(604_800),
        """
        How long the server remembers under which idempotencyKey a message was accepted. Within this time a sender can \
        send the message again without sending it twice.
        """
    )
    var idempotencyAge: Duration = .seconds(600)

    @Option("MESSENGER_IDEMPOTENCY_KEYS", in: 1...10_000_000, "Most keys that are remembered. The oldest go first.")
    var idempotencyKeys: Count = 100_000

    /// How long the keys of messages are remembered, and how many.
    var keyLimits: IdempotencyKeys.Limits {
        IdempotencyKeys.Limits(age: idempotencyAge, count: idempotencyKeys.number)
    }

    /// Sets ``history`` to what its file contains, if there is one.
    mutating func readHistoryFile() throws(StartError) {
        guard let path = historyFile.path else { return }
        guard history == .unset else {
            throw StartError(
                .badConfiguration,
                "Both MESSENGER_HISTORY and MESSENGER_HISTORY_FILE are set. Set one of them, as a variable or as a flag."
            )
        }
        do {
            history = try HistoryLocation(parsing: try SecretFile.line(in: path))
        } catch {
            throw StartError(.badConfiguration, "Cannot use the file that MESSENGER_HISTORY_FILE names: \(error)")
        }
    }

    /// Opens the store; `nil` for memory alone.
    /// - Parameter health: Learns whether the store can store messages.
    func openStore(logger: Logger, health: StorageHealth) async throws(StartError) -> (any HistoryStore)? {
        let retention = RetentionPolicy(
            maxMessages: historyKeepMessages.number,
            maxBytes: historyKeepBytes.bytes,
            maxAge: historyKeepAge == .zero ? nil : historyKeepAge
        )
        switch history {
        case .unset, .memory: return nil
        case .redis(let address):
            let tls = try redisTLS(address)
            let keys = keyLimits
            // Redis may have several addresses, and take seconds at each.
            return try await opened { () throws(StartError) in
                try RedisStore(address, tls: tls, retention: retention, keys: keys, logger: logger, health: health)
            }
        case .sqlite(let path):
            return try await SQLiteStore.open(
                path: path,
                sync: historySync,
                retention: retention,
                keys: keyLimits,
                logger: logger,
                health: health
            )
        }
    }

    /// Reads the authorities; `nil` for a connection without TLS.
    private func redisTLS(_ address: RedisAddress) throws(StartError) -> RedisTLS? {
        guard address.usesTLS else {
            guard historyAuthorities == .none else {
                throw StartError(.badConfiguration, "MESSENGER_HISTORY_CA needs rediss:// in MESSENGER_HISTORY")
            }
            return nil
        }
        do {
            return try RedisTLS(authorities: historyAuthorities.path)
        } catch {
            throw StartError(.badConfiguration, "Cannot use the file that MESSENGER_HISTORY_CA names: \(error)")
        }
    }
}
