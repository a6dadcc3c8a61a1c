import ArgumentParser
import Logging
import Messenger

/// Where and how the server stores its history.
struct HistorySettings: Sendable {
    var location = HistoryLocation.memory
    /// The file that holds the location, if one does.
    var locationFile = FilePath.none
    var sync = SQLiteFile.Sync.full
    var retention = RetentionPolicy()

    /// Opens the store; `nil` for memory alone.
    func openStore(logger: Logger) async throws(StartError) -> (any HistoryStore)? {
        switch location {
        case .memory: nil
        case .redis(let address): try RedisStore(address, retention: retention, logger: logger)
        case .sqlite(let path): try await SQLiteStore.open(path: path, sync: sync, retention: retention, logger: logger)
        }
    }

    /// What the log says at the start.
    var metadata: Logger.Metadata {
        guard let path = locationFile.path else { return locationMetadata }
        return locationMetadata.merging(["historyFile": "\(path)"]) { own, _ in own }
    }

    private var locationMetadata: Logger.Metadata {
        switch location {
        case .memory: ["history": "\(location.settingText)"]
        case .sqlite:
            [
                "history": "\(location.settingText)",
                "historySync": "\(sync)",
                "historyKeepMessages": "\(retention.maxMessages)",
                "historyKeepBytes": "\(ByteCount(bytes: retention.maxBytes)?.settingText ?? "")",
                "historyKeepAge": "\((retention.maxAge ?? .zero).settingText)",
            ]
        case .redis:
            [
                "history": "\(location.settingText)",
                "historyKeepMessages": "\(retention.maxMessages)",
                "historyKeepAge": "\((retention.maxAge ?? .zero).settingText)",
            ]
        }
    }
}

/// The flags for them.
struct HistoryFlags: ParsableArguments {
    @Option(secret: .history) var history: String?
    @Option(.historyFile) var historyFile: FilePath?
    @Option(.historySync) var historySync: SQLiteFile.Sync?
    @Option(.historyKeepMessages) var historyKeepMessages: Count?
    @Option(.historyKeepBytes) var historyKeepBytes: ByteCount?
    @Option(.historyKeepAge) var historyKeepAge: Duration?

    func settings(environment: ProcessEnvironment) throws(StartError) -> HistorySettings {
        let messages = try Setting.historyKeepMessages.value(flag: historyKeepMessages, environment: environment)
        let bytes = try Setting.historyKeepBytes.value(flag: historyKeepBytes, environment: environment)
        let age = try Setting.historyKeepAge.value(flag: historyKeepAge, environment: environment)
        let file = try Setting.historyFile.value(flag: historyFile, environment: environment)
        return HistorySettings(
            location: try location(in: file, environment),
            locationFile: file,
            sync: try Setting.historySync.value(flag: historySync, environment: environment),
            retention: RetentionPolicy(
                maxMessages: messages.number,
                maxBytes: bytes.bytes,
                maxAge: age == .zero ? nil : age
            )
        )
    }

    private func location(
        in file: FilePath,
        _ environment: ProcessEnvironment
    ) throws(StartError) -> HistoryLocation {
        let (setting, fileSetting) = (Setting.history, Setting.historyFile)
        guard let path = file.path else { return try setting.value(secretFlag: history, environment: environment) }
        guard history == nil, environment[setting.variable]?.isEmpty ?? true else {
            throw StartError(
                .badConfiguration,
                "Both \(setting.variable) and \(fileSetting.variable) are set. Set one of them, as a variable or as a flag."
            )
        }
        let place = "the file that \(fileSetting.variable) names"
        let text: String
        do {
            text = try SecretFile.line(in: path)
        } catch {
            throw StartError(.badConfiguration, "Cannot use \(place): \(error)")
        }
        return try setting.value(of: text, in: place, .badConfiguration)
    }
}

extension Setting where Value == FilePath {
    static var historyFile: Self {
        Setting(
            "MESSENGER_HISTORY_FILE",
            default: .none,
            summary:
                "File that holds what MESSENGER_HISTORY would say, so that a password is in no variable and no flag."
        )
    }
}

extension Setting where Value == HistoryLocation {
    static var history: Self {
        Setting(
            "MESSENGER_HISTORY",
            default: .memory,
            summary: "Where the history is kept: memory:, sqlite:PATH, or redis://[USER:PASSWORD@]HOST[:PORT]/KEY."
        )
    }
}

extension Setting where Value == SQLiteFile.Sync {
    static var historySync: Self {
        Setting(
            "MESSENGER_HISTORY_SYNC",
            default: .full,
            summary: "When a message in a file counts as kept: full, on the disk; normal, with the system."
        )
    }
}

extension Setting where Value == Count {
    static var historyKeepMessages: Self {
        Setting(
            "MESSENGER_HISTORY_KEEP_MESSAGES",
            default: 10_000_000,
            in: 1...4_000_000_000,
            summary: "Most messages that are kept beyond memory."
        )
    }
}

extension Setting where Value == ByteCount {
    static var historyKeepBytes: Self {
        Setting(
            "MESSENGER_HISTORY_KEEP_BYTES",
            default: .mebibytes(1024),
            in: .kibibytes(64) ... .mebibytes(65535),
            summary: "Most bytes of messages that are kept beyond memory."
        )
    }
}

extension Setting where Value == Duration {
    static var historyKeepAge: Self {
        Setting(
            "MESSENGER_HISTORY_KEEP_AGE",
            default: .zero,
            summary: "How long messages are kept beyond memory; 0s is without end."
        )
    }
}
