public import ArgumentParser
internal import Logging
internal import Synchronization

/// Reads settings from environment variables alone, for a program without arguments.
///
/// With an empty command line, ArgumentParser has nothing to parse. It would still take half of a debug build's start,
/// because it reads the types of the settings again and again by reflection. So the properties get their values when
/// they are created.
///
/// They all have to be declared with the initializers here and in `Setting.swift`.
final class SettingsEnvironment: Sendable {
    /// Set while ``settings(from:)`` creates settings.
    @TaskLocal static var current: SettingsEnvironment?

    private let variable: @Sendable (String) -> String?
    private let failure = Mutex<StartError?>(nil)

    private init(_ variable: @escaping @Sendable (String) -> String?) {
        self.variable = variable
    }

    /// Creates settings whose values come from the environment.
    ///
    /// - Parameter variable: Returns a variable's value. An empty one counts as unset.
    static func settings<Settings: ParsableArguments>(
        from variable: @escaping @Sendable (String) -> String?
    ) throws(StartError) -> Settings {
        let environment = SettingsEnvironment(variable)
        let settings = $current.withValue(environment) { Settings() }
        if let failure = environment.failure.withLock({ $0 }) { throw failure }
        return settings
    }

    /// The value of a setting; `nil` if it is unset or invalid. The first invalid one is thrown in the end.
    func value<Value>(
        of setting: SettingDeclaration,
        _ parse: (String) throws(InvalidSetting) -> Value
    ) -> Value? {
        guard let text = variable(setting.variable), !text.isEmpty else { return nil }
        do {
            try setting.check(text, in: setting.variable, .badConfiguration)
            return try parse(text)
        } catch {
            // Never a default in place of a value that could not be read.
            let error =
                error as? StartError
                ?? StartError(.badConfiguration, "The value is invalid for '\(setting.variable)'.")
            failure.withLock { $0 = $0 ?? error }
            return nil
        }
    }
}

// What else a program may have on its command line. Without arguments, these have their defaults.

extension OptionGroup {
    /// Declares a group of settings.
    public init(of type: Value.Type) {
        self.init(title: "")
        LoggedSetting.register { (group: Self) in .dictionary(group.wrappedValue.settingsMetadata) }
        if SettingsEnvironment.current != nil || SettingDeclaration.isCollecting { wrappedValue = Value() }
    }
}

extension Flag where Value == Bool {
    /// Declares a flag that is no setting.
    public init(wrappedValue: Bool, _ summary: String) {
        self.init(wrappedValue: wrappedValue, help: ArgumentHelp(summary))
        if SettingsEnvironment.current != nil { self.wrappedValue = wrappedValue }
    }
}

extension Option {
    /// Declares a flag with a value that is no setting.
    public init<Given>(
        _ summary: String,
        valueName: String? = nil,
        transform: @escaping @Sendable (String) throws -> Given
    ) where Value == Given? {
        self.init(help: ArgumentHelp(summary, valueName: valueName), transform: transform)
        if SettingsEnvironment.current != nil { wrappedValue = nil }
    }
}
