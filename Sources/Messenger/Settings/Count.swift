/// How many of something: a whole number.
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
