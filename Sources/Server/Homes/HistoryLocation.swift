import Messenger

/// Where the room's history is kept.
enum HistoryLocation: SettingValue, Hashable {
    /// In the process's memory alone.
    case memory
    /// In a file of SQLite's.
    case sqlite(path: String)

    static var form: String { "memory: or sqlite:PATH" }

    init?(settingText: String) {
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
        case .memory: "memory:"
        case .sqlite(let path): "sqlite:\(path)"
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
