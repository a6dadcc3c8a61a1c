public import ArgumentParser

/// One thing that can be set: by a flag, else by an environment variable, else by its default.
///
/// ```swift
/// extension Setting where Value == Port {
///     static var httpPort: Self {
///         Setting("MESSENGER_HTTP_PORT", default: 8080, summary: "Port of the HTTP server; 0 takes any free one.")
///     }
/// }
///
/// struct Options: ParsableArguments {
///     @Option(.httpPort) var httpPort: Port?      // --http-port
/// }
///
/// let port = try Setting.httpPort.value(flag: options.httpPort, environment: .current)
/// ```
public struct Setting<Value: SettingValue>: Sendable {
    /// The environment variable, for example `MESSENGER_HTTP_PORT`.
    public let variable: String
    /// The value when neither the flag nor the variable gives one.
    public let defaultValue: Value

    private let summary: String
    private let range: (@Sendable (Value) -> Bool)
    private let expectation: String

    /// Creates a setting that takes every value of its type.
    ///
    /// - Parameters:
    ///   - variable: The environment variable, beginning with `MESSENGER_`; the flag's name follows from the rest.
    ///   - defaultValue: The value when nothing is set.
    ///   - summary: One sentence for `--help`.
    public init(_ variable: String, default defaultValue: Value, summary: String) {
        self.init(variable, default: defaultValue, summary: summary, range: { _ in true }, expectation: Value.form)
    }

    /// Creates a setting that takes the values within a range.
    ///
    /// - Parameters:
    ///   - variable: The environment variable, beginning with `MESSENGER_`; the flag's name follows from the rest.
    ///   - defaultValue: The value when nothing is set.
    ///   - range: The values allowed, bounds included.
    ///   - summary: One sentence for `--help`.
    public init(_ variable: String, default defaultValue: Value, in range: ClosedRange<Value>, summary: String)
    where Value: Comparable {
        self.init(
            variable,
            default: defaultValue,
            summary: summary,
            range: { range.contains($0) },
            expectation: "\(Value.form), from \(range.lowerBound.settingText) to \(range.upperBound.settingText)"
        )
    }

    private init(
        _ variable: String,
        default defaultValue: Value,
        summary: String,
        range: @escaping @Sendable (Value) -> Bool,
        expectation: String
    ) {
        self.variable = variable
        self.defaultValue = defaultValue
        self.summary = summary
        self.range = range
        self.expectation = expectation
    }

    /// The flag's name without its dashes, for example `http-port`.
    public var flag: String {
        let name =
            self.variable.hasPrefix("MESSENGER_") ? self.variable.dropFirst("MESSENGER_".count) : self.variable[...]
        return String(name.lowercased().map { $0 == "_" ? "-" : $0 })
    }

    /// What `--help` says of the setting.
    public var help: ArgumentHelp {
        """
        \(self.summary) Takes \(self.expectation). \
        (environment: \(self.variable); default: \(self.defaultValue.settingText))
        """
    }

    /// Chooses between the flag's value, the environment variable's and the default, in this order.
    ///
    /// A variable that is set to the empty string counts as not set.
    ///
    /// - Parameters:
    ///   - flag: The value that the command line gave, if it did.
    ///   - environment: Where to look for ``variable``.
    /// - Throws: ``StartError`` with the code ``StartError/Code/badConfiguration`` when the variable holds no allowed
    ///   value. A bad variable does not matter when the flag is given.
    public func value(flag: Value?, environment: ProcessEnvironment) throws(StartError) -> Value {
        if let flag { return flag }
        guard let text = environment[self.variable], !text.isEmpty else { return self.defaultValue }
        return try self.value(of: text, in: "'\(self.variable)'", .badConfiguration)
    }

    /// Chooses like ``value(flag:environment:)`` for a flag that was taken as it is: ArgumentParser's errors quote the
    /// values that they refuse, and this one may hold a password.
    public func value(secretFlag flag: String?, environment: ProcessEnvironment) throws(StartError) -> Value {
        guard let flag else { return try self.value(flag: nil, environment: environment) }
        return try self.value(of: flag, in: "'--\(self.flag)'", .badUsage)
    }

    /// Parses a text that came from some place.
    ///
    /// - Parameters:
    ///   - place: What errors call the place.
    ///   - code: What a bad value there is.
    public func value(of text: String, in place: String, _ code: StartError.Code) throws(StartError) -> Value {
        do {
            return try self.parse(text)
        } catch {
            let what = Value.isSecret ? "The value" : "The value '\(text)'"
            throw StartError(code, "\(what) is invalid for \(place): \(error)")
        }
    }

    /// Parses and checks a value, whichever way it came.
    func parse(_ text: String) throws(SettingExpectation) -> Value {
        // Bytes that are no UTF-8 have become this character: a path would name another file.
        guard !text.unicodeScalars.contains("\u{FFFD}") else { throw SettingExpectation(description: "expected UTF-8") }
        guard let value = Value(settingText: text), self.range(value) else {
            throw SettingExpectation(description: Value.objection(to: text) ?? "expected \(self.expectation)")
        }
        return value
    }
}

/// What a setting would have taken.
struct SettingExpectation: Error, CustomStringConvertible {
    let description: String
}
