public import Logging

/// What a program tells its operator while it runs: one line per event, on standard error.
public enum Diagnostics {
    /// Makes every logger of the process write through ``LineLogHandler``.
    ///
    /// Call it once, before the first logger is made; swift-log traps at a second call.
    ///
    /// - Parameter level: The least level that is written.
    public static func bootstrap(level: Logger.Level) {
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, logLevel: level) { Platform.writeToStandardError($0) }
        }
    }
}
