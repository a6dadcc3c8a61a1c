public import Logging

/// What a program tells its operator while it runs: one line per event, on standard error.
public enum Diagnostics {
    /// How long the end of a program waits for those who read its log.
    private static let patience = Duration.milliseconds(500)

    private static let writer = LogWriter(descriptor: Platform.standardError) { count in
        LineLogHandler.line(.warning, "log", "log lines dropped", ["count": "\(count)"])
    }

    /// Makes every logger of the process write through ``LineLogHandler``.
    ///
    /// Call it once, before the first logger is made; swift-log traps at a second call.
    ///
    /// - Parameter level: The least level that is written.
    public static func bootstrap(level: Logger.Level) {
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, logLevel: level) { writer.write($0) }
        }
    }

    /// Writes a line after those of the loggers, and never waits.
    static func write(_ line: String) {
        writer.write(line)
    }

    /// Ends the process, after a short while for its last lines to be written.
    static func terminate(exitCode: Int32) -> Never {
        writer.flush(atMost: patience)
        Platform.terminate(exitCode: exitCode)
    }
}
