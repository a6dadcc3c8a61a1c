public import Logging

/// Writes each event as one line: time, level, label, message, then metadata as `key=value`, sorted by key.
///
/// ```
/// 2021-09-12T10:25:22.454093428Z info client: Stream opened. server=localhost:51075
/// ```
///
/// swift-log's own `StreamLogHandler` writes line breaks as they come, so that a text from outside (a peer's error
/// message, say) could pass for an event of its own; it also counts whole seconds only, in local time.
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let now: @Sendable () -> SendTime
    private let write: @Sendable (String) -> Void

    /// Creates a handler.
    ///
    /// - Parameters:
    ///   - label: The logger's label.
    ///   - logLevel: The least level that is written.
    ///   - now: The clock of the lines' times.
    ///   - write: Takes a whole line with its line feed; called from whichever thread logs, so it must not wait.
    public init(
        label: String,
        logLevel: Logger.Level,
        now: @escaping @Sendable () -> SendTime = SendTime.now,
        write: @escaping @Sendable (String) -> Void
    ) {
        self.label = label
        self.logLevel = logLevel
        self.now = now
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        self.write(
            Self.line(event.level, self.label, event.message, self.metadata(of: event), at: self.now())
        )
    }

    /// A line with its line feed.
    static func line(
        _ level: Logger.Level,
        _ label: String,
        _ message: Logger.Message,
        _ metadata: Logger.Metadata,
        at time: SendTime = .now()
    ) -> String {
        var line = "\(time) \(level) \(label): \(LogText.escaping(LogText.concealingPasswords("\(message)")))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(LogText.escaping(key))=\(LogText.quoting(LogText.concealingPasswords("\(value)")))"
        }
        return line + "\n"
    }

    /// The event's own metadata wins over the provider's, and that over the logger's.
    private func metadata(of event: LogEvent) -> Logger.Metadata {
        var metadata = self.metadata
        if let provided = self.metadataProvider?.get() {
            metadata.merge(provided) { _, provided in provided }
        }
        if let explicit = event.metadata {
            metadata.merge(explicit) { _, explicit in explicit }
        }
        if let error = event.error {
            metadata["error"] = "\(error)"
        }
        return metadata
    }
}
