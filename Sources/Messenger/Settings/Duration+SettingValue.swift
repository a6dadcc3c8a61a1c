/// Durations are set as a whole number with a unit: `250us`, `500ms`, `10s`, `5m`, `1h`.
extension Duration: SettingValue {
    public static var form: String { "a duration such as 500ms, 10s or 1m" }

    public init?(settingText: String) {
        let (digits, unit) = settingText.splitBeforeUnit()
        guard
            let count = Int64(decimal: digits),
            let microseconds = Self.microsecondsPerUnit.first(where: { $0.unit == unit })?.microseconds
        else { return nil }
        let total = count.multipliedReportingOverflow(by: microseconds)
        guard !total.overflow else { return nil }
        self = .microseconds(total.partialValue)
    }

    /// The duration in the greatest unit that divides it; what is finer than a microsecond is left out.
    public var settingText: String {
        let (seconds, attoseconds) = self.components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        guard
            microseconds != 0,
            let greatest = Self.microsecondsPerUnit.last(where: { microseconds.isMultiple(of: $0.microseconds) })
        else { return "0s" }
        return "\(microseconds / greatest.microseconds)\(greatest.unit)"
    }

    /// Ascending.
    private static let microsecondsPerUnit: [(unit: String, microseconds: Int64)] = [
        ("us", 1), ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
    ]
}
