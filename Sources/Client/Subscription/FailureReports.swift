/// Which failures of the stream are written to the log: each reason once, and once a minute that it goes on.
struct FailureReports: Sendable {
    /// How often a failure that goes on is written.
    static let interval = Duration.seconds(60)
    /// A server that gives another reason each time must not fill the log: further ones wait for the minute.
    static let mostReasons = 5

    /// As bytes: the text is the server's.
    private var written: [[UInt8]] = []
    private var count = 0
    private var nextReminder: ContinuousClock.Instant?

    /// The stream has failed.
    /// - Parameter reason: `nil` if it only says how to go on: then it is written only when that goes on.
    /// - Returns: How often in a row it has failed, if that is to be written now.
    mutating func failed(_ reason: String?, now: ContinuousClock.Instant) -> Int? {
        count += 1
        let bytes = reason.map { Array($0.utf8) }
        var isDue = false
        if let bytes, written.count < Self.mostReasons, !written.contains(bytes) {
            written.append(bytes)
            isDue = true
        }
        if let nextReminder, now >= nextReminder { isDue = true }
        if isDue || nextReminder == nil { nextReminder = now + Self.interval }
        return isDue ? count : nil
    }

    /// The stream is well again.
    /// - Returns: How often it had failed.
    mutating func recovered() -> Int {
        defer { self = FailureReports() }
        return count
    }
}
