/// What a token allows.
public struct AccessRights: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    public static let read = AccessRights(rawValue: 1)
    public static let send = AccessRights(rawValue: 2)
}

extension AccessRights: SettingValue {
    private static let names: [(rights: AccessRights, text: String)] = [
        (.read, "read"), (.send, "send"), ([.read, .send], "read,send"),
    ]

    public static var form: String { "read, send or read,send" }

    public init?(settingText: String) {
        guard let (rights, _) = Self.names.first(where: { settingText.utf8.elementsEqual($0.text.utf8) }) else {
            return nil
        }
        self = rights
    }

    public var settingText: String { Self.names.first { $0.rights == self }?.text ?? "" }
}

/// How many messages a token may send in a second.
public struct MessageRate: SettingValue, Hashable {
    public let perSecond: Int

    public static let range = 1...1_000_000

    /// `nil` if the number is out of ``range``.
    public init?(perSecond: Int) {
        guard Self.range.contains(perSecond) else { return nil }
        self.perSecond = perSecond
    }

    public static var form: String { "messages a second, from 1/s to 1000000/s" }

    public init?(settingText: String) {
        let bytes = settingText.utf8
        guard bytes.suffix(2).elementsEqual("/s".utf8), let number = Int(decimal: settingText.dropLast(2)) else {
            return nil
        }
        self.init(perSecond: number)
    }

    public var settingText: String { "\(perSecond)/s" }
}
