/// Which lines that strangers cause are written to the log: each once a minute, and only so many. The others are counted.
struct LineBudget: Sendable {
    private let most: Int
    /// In this minute, as bytes.
    private var written: [[UInt8]] = []
    private var unwritten = 0
    private var renewal: ContinuousClock.Instant?

    private static let period = Duration.seconds(60)

    init(perMinute most: Int) {
        self.most = most
    }

    /// - Returns: How many lines have not been written since the last one; `nil` if this one is not to be written.
    mutating func take(_ line: String, now: ContinuousClock.Instant) -> Int? {
        if renewal.map({ now >= $0 }) ?? true {
            written = []
            renewal = now + Self.period
        }
        let bytes = Array(line.utf8)
        guard written.count < most, !written.contains(bytes) else {
            unwritten += 1
            return nil
        }
        written.append(bytes)
        defer { unwritten = 0 }
        return unwritten
    }
}
