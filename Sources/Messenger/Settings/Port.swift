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

    public var settingText: String { self.description }

    public var description: String { String(self.number) }
}
