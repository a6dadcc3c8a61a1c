/// A type whose values can be set by a flag or an environment variable.
public protocol SettingValue: Sendable {
    /// What a value looks like, to follow the word "expected": for example `a port number`.
    static var form: String { get }

    /// Whether a value may hold a password. No error then quotes it.
    static var isSecret: Bool { get }

    /// What is wrong with a text that is no value; `nil` when there is no more to say than ``form``.
    static func objection(to settingText: String) -> String?

    /// Parses a value; `nil` when the text is none.
    init?(settingText: String)

    /// The value as ``init(settingText:)`` would take it, for `--help`.
    var settingText: String { get }
}

extension SettingValue {
    public static var isSecret: Bool { false }

    public static func objection(to settingText: String) -> String? { nil }
}
