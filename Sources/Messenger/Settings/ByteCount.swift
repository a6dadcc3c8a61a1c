/// A number of bytes, set as `65536`, `64KiB`, `1MiB` or `2GiB`.
public struct ByteCount: SettingValue, Hashable, Comparable, ExpressibleByIntegerLiteral {
    /// The number of bytes; never negative.
    public let bytes: Int

    /// Creates a count; `nil` when it is negative.
    public init?(bytes: Int) {
        guard bytes >= 0 else { return nil }
        self.bytes = bytes
    }

    public init(integerLiteral bytes: UInt32) {
        self.bytes = Int(bytes)
    }

    /// A number of kibibytes: `1024` bytes each.
    public static func kibibytes(_ count: UInt16) -> ByteCount {
        ByteCount(unchecked: Int(count) << 10)
    }

    /// A number of mebibytes: `1024 * 1024` bytes each.
    public static func mebibytes(_ count: UInt16) -> ByteCount {
        ByteCount(unchecked: Int(count) << 20)
    }

    private init(unchecked bytes: Int) {
        self.bytes = bytes
    }

    public static func < (left: ByteCount, right: ByteCount) -> Bool {
        left.bytes < right.bytes
    }
}

extension ByteCount {
    public static var form: String { "a number of bytes such as 65536, 64KiB or 1MiB" }

    public init?(settingText: String) {
        let (digits, unit) = settingText.splitBeforeUnit()
        guard let count = Int(decimal: digits), let scale = Self.scales[unit] else { return nil }
        let bytes = count.multipliedReportingOverflow(by: scale)
        guard !bytes.overflow else { return nil }
        self.init(bytes: bytes.partialValue)
    }

    public var settingText: String {
        for unit in ["GiB", "MiB", "KiB"] {
            if let scale = Self.scales[unit], self.bytes > 0, self.bytes.isMultiple(of: scale) {
                return "\(self.bytes / scale)\(unit)"
            }
        }
        return "\(self.bytes)B"
    }

    private static let scales = ["": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
}
