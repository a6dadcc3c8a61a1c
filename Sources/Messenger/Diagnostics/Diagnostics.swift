internal import LibGRPC
public import Logging
internal import Synchronization

/// The program's log: one line per event, on standard error.
public enum Diagnostics {
    /// How long the program waits at its end until its last lines are written.
    private static let flushTimeout = Duration.seconds(2)

    private static let format = Mutex(LogFormat.text)

    private static let writer = LogWriter(descriptor: Platform.standardError) { count in
        let event = format.withLock { $0.event(.warning, "log", "log lines dropped", ["count": "\(count)"]) }
        return event.text(at: .now())
    }

    /// Makes every logger of the process write through ``LineLogHandler``.
    ///
    /// Call it once, before the first logger is made. swift-log traps at a second call.
    ///
    /// - Parameters:
    ///   - level: The lowest level that is written.
    ///   - format: How the lines look.
    public static func bootstrap(level: Logger.Level, format: LogFormat) {
        self.format.withLock { $0 = format }
        LoggingSystem.bootstrap { label in
            LineLogHandler(label: label, logLevel: level, format: format) { line in writer.write(line()) }
        }
    }

    /// The number of log lines dropped since the start.
    public static var droppedLines: Int { writer.droppedLines }

    /// Writes a line after those of the loggers. Does not block.
    static func write(_ line: String) {
        writer.write(line)
    }

    /// Ends the process. Waits a moment until the last lines are written.
    static func terminate(exitCode: Int32) -> Never {
        writer.flush(timeout: flushTimeout)
        Platform.terminate(exitCode: exitCode)
    }
}

// MARK: - gRPC's core

extension Diagnostics {
    /// Sends the log of gRPC's core to a logger, at the debug level: otherwise the core writes to standard error. The
    /// programs see what matters as errors of their calls.
    ///
    /// - Parameter isServer: Whether failed TLS handshakes are logged. They cause no call that could fail.
    public static func forwardCoreLog(to logger: Logger, isServer: Bool = false) {
        let ignored = CoreEnvironment.clean()
        if !ignored.isEmpty {
            logger.warning(
                "gRPC's environment variables are ignored",
                metadata: ["variables": "\(ignored.joined(separator: ","))"]
            )
        }
        let limiter = Mutex(LogRateLimiter(linesPerMinute: 10))
        CoreLog.setHandler { _, message, source in
            if isServer, let failure = HandshakeFailure(coreLog: message, source: source) {
                let line = "\(failure.reason) \(failure.hosts)"
                if let suppressed = limiter.withLock({ $0.admit(line, now: .now) }) {
                    logger.log(failure, suppressed: suppressed)
                }
                return
            }
            // Only the binding's own messages are for operators.
            if source.hasPrefix(CoreLog.ownSource) {
                logger.warning("\(message)")
            } else {
                logger.debug("gRPC core", metadata: ["text": "\(message)", "source": "\(source)"])
            }
        }
    }
}

extension Logger {
    fileprivate func log(_ failure: HandshakeFailure, suppressed: Int) {
        var metadata: Metadata = ["reason": "\(failure.reason)"]
        if !failure.peers.isEmpty { metadata["peer"] = "\(failure.peers.joined(separator: " or "))" }
        if suppressed > 0 { metadata["suppressed"] = "\(suppressed)" }
        info("TLS handshake failed", metadata: metadata)
    }
}

/// Limits log lines that peers can cause: each line once a minute, and a number of lines per minute.
struct LogRateLimiter: Sendable {
    private let linesPerMinute: Int
    /// The lines of this minute, as bytes.
    private var admitted: [[UInt8]] = []
    private var suppressed = 0
    private var nextPeriod: ContinuousClock.Instant?

    init(linesPerMinute: Int) {
        self.linesPerMinute = linesPerMinute
    }

    /// - Returns: How many lines were suppressed since the last admitted one; `nil` if this one is suppressed too.
    mutating func admit(_ line: String, now: ContinuousClock.Instant) -> Int? {
        if nextPeriod.map({ now >= $0 }) ?? true {
            admitted = []
            nextPeriod = now + .seconds(60)
        }
        let bytes = Array(line.utf8)
        guard admitted.count < linesPerMinute, !admitted.contains(bytes) else {
            suppressed += 1
            return nil
        }
        admitted.append(bytes)
        defer { suppressed = 0 }
        return suppressed
    }
}
