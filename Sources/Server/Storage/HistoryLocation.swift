import Messenger

/// Where the room's history is stored.
enum HistoryLocation: SettingValue, Hashable {
    /// Only in the process's memory, because no setting says otherwise.
    case unset
    /// Only in the process's memory.
    case memory
    /// In an SQLite database.
    case sqlite(path: String)
    /// In a Redis stream.
    case redis(RedisAddress)

    static var form: String { "memory:, sqlite:PATH or redis[s]://[USER:PASSWORD@]HOST[:PORT]/KEY" }

    static var isSecret: Bool { true }

    static func objection(to settingText: String) -> String? {
        guard settingText.lowercased().hasPrefix("redis") else { return nil }
        do {
            _ = try RedisAddress(parsing: settingText)
            return nil
        } catch {
            return error.description
        }
    }

    init?(settingText: String) {
        if let address = RedisAddress(settingText) {
            self = .redis(address)
            return
        }
        let parts = settingText.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        switch (parts[0], parts[1]) {
        case ("memory", ""): self = .memory
        case ("sqlite", let path) where !path.isEmpty && !path.contains("\0"): self = .sqlite(path: String(path))
        default: return nil
        }
    }

    var settingText: String {
        switch self {
        case .unset, .memory: "memory:"
        case .sqlite(let path): "sqlite:\(path)"
        // Without the password, because the log has this text.
        case .redis(let address): address.description
        }
    }
}

extension SQLiteFile.Sync: SettingValue {
    static var form: String { "full or normal" }

    init?(settingText: String) {
        self.init(rawValue: settingText)
    }

    var settingText: String { rawValue }
}
