public import Logging

extension Logger.Level: SettingValue {
    public static var form: String {
        "one of " + Self.allCases.map(\.rawValue).joined(separator: ", ")
    }

    public init?(settingText: String) {
        self.init(rawValue: settingText.lowercased())
    }

    public var settingText: String { self.rawValue }
}
