internal import Logging

/// How an event is written to the log, always on one line. Both forms have the same keys.
public enum LogFormat: String, SettingValue, CaseIterable, Sendable {
    /// `2021-09-12T10:25:22.454093428Z info messenger-client: stream open after=…`
    case text
    /// `{"time":"2021-09-12T10:25:22.454093428Z","level":"info","program":"messenger-client","message":"stream open",…}`
    case json

    public static var form: String { "one of " + allCases.map(\.rawValue).joined(separator: ", ") }

    public init?(settingText: String) {
        self.init(rawValue: settingText.lowercased())
    }

    public var settingText: String { rawValue }

    /// The line without its time, which is known later.
    func event(
        _ level: Logger.Level,
        _ label: String,
        _ message: Logger.Message,
        _ metadata: Logger.Metadata
    ) -> LogLine {
        let message = LogText.redacted("\(message)")
        let pairs = metadata.sorted { $0.key < $1.key }.map { ($0.key, LogText.redacted("\($0.value)")) }
        switch self {
        case .text:
            let keys = pairs.map { " \(LogText.escaped($0))=\(LogText.quoted($1))" }.joined()
            return LogLine(beforeTime: "", afterTime: " \(level) \(label): \(LogText.escaped(message))\(keys)\n")
        case .json:
            let fields = [("level", "\(level)"), ("program", label), ("message", message)] + pairs
            let rest = fields.map { ",\(LogText.json($0)):\(LogText.json($1))" }.joined()
            return LogLine(beforeTime: #"{"time":""#, afterTime: "\"\(rest)}\n")
        }
    }
}

/// An event that lacks only its time.
struct LogLine: Sendable {
    fileprivate var beforeTime: String
    fileprivate var afterTime: String

    /// The whole line, with its line feed.
    func text(at time: SendTime) -> String {
        "\(beforeTime)\(time)\(afterTime)"
    }
}
