/// A type whose values can be set by a flag or an environment variable.
public protocol SettingValue: Sendable {
    /// What a value looks like, to follow the word "expected": for example `a port number`.
    static var form: String { get }

    /// Parses a value; `nil` when the text is none.
    init?(settingText: String)

    /// The value as ``init(settingText:)`` would take it, for `--help`.
    var settingText: String { get }
}
