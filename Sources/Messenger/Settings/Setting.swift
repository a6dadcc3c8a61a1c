public import ArgumentParser
internal import Logging
internal import Synchronization

/// A type whose values can be set with a flag or an environment variable.
public protocol SettingValue: Sendable {
    /// What a value looks like. It follows the word "expected", for example `a port number`.
    static var form: String { get }

    /// Whether a value may hold a password. Errors do not quote it then.
    static var isSecret: Bool { get }

    /// What is wrong with an invalid text; `nil` if ``form`` says enough.
    static func objection(to settingText: String) -> String?

    /// Parses a value; `nil` if the text is invalid.
    init?(settingText: String)

    /// The value as ``init(settingText:)`` reads it, for `--help` and the log. It holds no password.
    var settingText: String { get }
}

extension SettingValue {
    public static var isSecret: Bool { false }

    public static func objection(to settingText: String) -> String? { nil }

    /// Parses a text from a flag, a variable or a file.
    public init(
        parsing text: String,
        expecting expectation: String = form,
        where isAllowed: (Self) -> Bool = { _ in true }
    ) throws(InvalidSetting) {
        // Bytes that are not UTF-8 have become this character. A path would name another file.
        guard !text.unicodeScalars.contains("\u{FFFD}") else { throw InvalidSetting("expected UTF-8") }
        guard let value = Self(settingText: text), isAllowed(value) else {
            throw InvalidSetting(Self.objection(to: text) ?? "expected \(expectation)")
        }
        self = value
    }
}

/// Why a text is not a value of a setting. It does not quote the text.
public struct InvalidSetting: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// What is known of a setting without its type. ``Option`` declares it.
struct SettingDeclaration: Sendable {
    /// The environment variable, for example `MESSENGER_HTTP_PORT`.
    let variable: String
    let isSecret: Bool
    /// Throws if a text is not an allowed value.
    let check: @Sendable (String) throws(InvalidSetting) -> Void

    /// The flag's name without its dashes, for example `http-port`.
    var flag: String {
        let name = variable.hasPrefix("MESSENGER_") ? variable.dropFirst("MESSENGER_".count) : variable[...]
        return String(name.lowercased().map { $0 == "_" ? "-" : $0 })
    }

    func check(_ text: String, in place: String, _ code: StartError.Code) throws(StartError) {
        do {
            try check(text)
        } catch {
            let value = isSecret ? "The value" : "The value '\(text)'"
            throw StartError(code, "\(value) is invalid for '\(place)': \(error)")
        }
    }

    /// The settings whose properties `body` creates.
    static func collected(by body: () -> Void) -> [SettingDeclaration] {
        let collector = Collector()
        $collector.withValue(collector, operation: body)
        return collector.settings.withLock { $0 }
    }

    static var isCollecting: Bool { collector != nil }

    fileprivate func collect() {
        Self.collector?.settings.withLock { $0.append(self) }
    }

    @TaskLocal private static var collector: Collector?

    private final class Collector: Sendable {
        let settings = Mutex<[SettingDeclaration]>([])
    }
}

extension Option where Value: SettingValue {
    /// Declares a setting: `--http-port` and `MESSENGER_HTTP_PORT` set this property.
    ///
    /// ```swift
    /// @Option("MESSENGER_HTTP_PORT", "Port of the HTTP server; 0 for any free one.") var httpPort: Port = 8080
    /// ```
    ///
    /// `--help`, the log line at the start and `docs/configuration.md` show what is declared here.
    ///
    /// - Parameters:
    ///   - wrappedValue: The default.
    ///   - variable: The environment variable. The flag's name is the rest after `MESSENGER_`.
    ///   - summary: One or two sentences.
    public init(wrappedValue: Value, _ variable: String, _ summary: String) {
        self.init(wrappedValue, variable, expectation: Value.form, summary) { _ in true }
    }

    /// Declares a setting whose values are within a range, bounds included.
    public init(wrappedValue: Value, _ variable: String, in range: ClosedRange<Value>, _ summary: String)
    where Value: Comparable {
        let bounds = "from \(range.lowerBound.settingText) to \(range.upperBound.settingText)"
        self.init(wrappedValue, variable, expectation: "\(Value.form), \(bounds)", summary) { range.contains($0) }
    }

    private init(
        _ defaultValue: Value,
        _ variable: String,
        expectation: String,
        _ summary: String,
        where isAllowed: @escaping @Sendable (Value) -> Bool
    ) {
        let parse = { @Sendable (text: String) throws(InvalidSetting) -> Value in
            try Value(parsing: text, expecting: expectation, where: isAllowed)
        }
        let setting = SettingDeclaration(variable: variable, isSecret: Value.isSecret) {
            (text) throws(InvalidSetting) in _ = try parse(text)
        }
        setting.collect()
        LoggedSetting.register { (option: Self) in "\(option.wrappedValue.settingText)" }
        let defaultText = defaultValue.settingText.isEmpty ? "none" : defaultValue.settingText
        let facts = "(environment: \(variable); default: \(defaultText))"
        self.init(
            wrappedValue: defaultValue,
            name: .customLong(setting.flag),
            help: ArgumentHelp("\(summary) Allowed: \(expectation). \(facts)"),
            transform: parse
        )
        if let environment = SettingsEnvironment.current {
            wrappedValue = environment.value(of: setting, parse) ?? defaultValue
        }
    }
}
