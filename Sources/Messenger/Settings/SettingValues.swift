public import Logging

// The types of most settings.

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
        guard
            let count = Int(decimal: digits),
            let scale = Self.scales.first(where: { $0.unit == unit })?.bytes
        else { return nil }
        let bytes = count.multipliedReportingOverflow(by: scale)
        guard !bytes.overflow else { return nil }
        self.init(bytes: bytes.partialValue)
    }

    public var settingText: String {
        let largest = bytes == 0 ? nil : Self.scales.last { bytes.isMultiple(of: $0.bytes) }
        return largest.map { "\(bytes / $0.bytes)\($0.unit)" } ?? "0B"
    }

    /// Ascending.
    private static let scales: [(unit: String, bytes: Int)] = [
        ("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
    ]
}

/// A whole number, as of messages or connections.
public struct Count: SettingValue, Hashable, Comparable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    /// The number; never negative.
    public let number: Int

    public init(integerLiteral number: UInt32) {
        self.number = Int(number)
    }

    public static var form: String { "a whole number" }

    public init?(settingText: String) {
        guard let number = Int(decimal: settingText) else { return nil }
        self.number = number
    }

    public var settingText: String { description }

    public var description: String { String(number) }

    public static func < (left: Count, right: Count) -> Bool {
        left.number < right.number
    }
}

/// A TCP port; 0 asks the system for any free one.
public struct Port: SettingValue, Hashable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    /// The port's number.
    public let number: UInt16

    /// Creates a port.
    public init(_ number: UInt16) {
        self.number = number
    }

    public init(integerLiteral number: UInt16) {
        self.init(number)
    }

    public static var form: String { "a port number, 0...65535" }

    public init?(settingText: String) {
        guard let number = UInt16(decimal: settingText) else { return nil }
        self.init(number)
    }

    public var settingText: String { description }

    public var description: String { String(number) }
}

/// A TCP port, or none.
public struct OptionalPort: SettingValue, Hashable {
    public let port: Port?

    public static let none = OptionalPort(port: nil)

    private init(port: Port?) {
        self.port = port
    }

    public static var form: String { "\(Port.form), or none" }

    public init?(settingText: String) {
        if settingText == "none" {
            self = .none
        } else {
            guard let port = Port(settingText: settingText) else { return nil }
            self.init(port: port)
        }
    }

    public var settingText: String { port?.settingText ?? "none" }
}

/// The path of a file, or none.
public struct FilePath: SettingValue, Hashable {
    /// The path as given; `nil` for no file. A file with the name `none` is `./none`.
    public let path: String?

    /// No file.
    public static let none = FilePath(path: nil)

    private init(path: String?) {
        self.path = path
    }

    public static var form: String { "a path" }

    public init?(settingText: String) {
        guard !settingText.isEmpty else { return nil }
        self.init(path: settingText == "none" ? nil : settingText)
    }

    public var settingText: String { path ?? "none" }
}

/// Durations are a whole number with a unit: `250us`, `500ms`, `10s`, `5m`, `1h`.
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

    /// The duration in the largest unit that divides it, rounded down to microseconds.
    public var settingText: String {
        let (seconds, attoseconds) = components
        let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        guard
            microseconds != 0,
            let largest = Self.microsecondsPerUnit.last(where: { microseconds.isMultiple(of: $0.microseconds) })
        else { return "0s" }
        return "\(microseconds / largest.microseconds)\(largest.unit)"
    }

    /// Ascending.
    private static let microsecondsPerUnit: [(unit: String, microseconds: Int64)] = [
        ("us", 1), ("ms", 1000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
    ]
}

extension Logger.Level: SettingValue {
    public static var form: String {
        "one of " + allCases.map(\.rawValue).joined(separator: ", ")
    }

    public init?(settingText: String) {
        self.init(rawValue: settingText.lowercased())
    }

    public var settingText: String { rawValue }
}

extension FixedWidthInteger {
    /// Parses decimal digits and nothing else. Unlike `init(_:)` it allows no sign.
    init?(decimal text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        self.init(text)
    }
}

extension String {
    /// Splits `64KiB` into `64` and `KiB`.
    fileprivate func splitBeforeUnit() -> (number: Substring, unit: String) {
        let end = utf8.firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? endIndex
        return (self[..<end], String(self[end...]))
    }
}
