public import ArgumentParser
public import Logging

// What can be done with all settings of a program.

extension ParsableArguments {
    /// Parses the command line. A flag that is not given gets its value from the environment, if there is one.
    ///
    /// - Parameter environment: Returns a variable's value. An empty one counts as unset.
    /// - Throws: ``StartError`` for a value that is not allowed, ArgumentParser's errors for everything else.
    static func parse(_ words: [String], environment: @escaping @Sendable (String) -> String?) throws -> Self {
        if words.isEmpty { return try SettingsEnvironment.settings(from: environment) }
        let settings = SettingDeclaration.collected { declareSettings() }
        let given = try flags(of: settings, givenIn: words)
        // The answer to these does not depend on the environment.
        let asksForHelp = words.contains { ["-h", "--help", "--version", "--experimental-dump-help"].contains($0) }
        var fromEnvironment: [String] = []
        for setting in settings where !given.contains(setting.flag) && !asksForHelp {
            guard let text = environment(setting.variable), !text.isEmpty else { continue }
            try setting.check(text, in: setting.variable, .badConfiguration)
            fromEnvironment.append("--\(setting.flag)=\(text)")
        }
        return try parse(fromEnvironment + words)
    }

    /// Checks the values on the command line, and returns which flags it has.
    ///
    /// ArgumentParser checks them too, but its errors quote secrets.
    private static func flags(
        of settings: [SettingDeclaration],
        givenIn words: [String]
    ) throws(StartError) -> Set<String> {
        var given: Set<String> = []
        for (index, word) in words.enumerated() where word.hasPrefix("--") {
            let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1)
            guard let setting = settings.first(where: { $0.flag == parts.first ?? "" }) else { continue }
            given.insert(setting.flag)
            if parts.count == 2 {
                try setting.check(String(parts[1]), in: "--\(setting.flag)", .badUsage)
            } else if let next = words.dropFirst(index + 1).first, !next.hasPrefix("-") {
                try setting.check(next, in: "--\(setting.flag)", .badUsage)
            }
        }
        return given
    }

    /// Creates an instance of this type and of its groups, whose properties then declare their settings.
    fileprivate static func declareSettings() {
        for child in Mirror(reflecting: Self()).children {
            (type(of: child.value) as? any SettingsGroup.Type)?.declareSettings()
        }
    }

    /// All settings and their values, for the log.
    public var settingsMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        for child in Mirror(reflecting: self).children {
            if let setting = child.value as? any Setting {
                // The label of the property's wrapper begins with an underscore.
                metadata[String(child.label?.dropFirst() ?? "")] = "\(setting.text)"
            } else if let group = child.value as? any SettingsGroup {
                metadata.merge(group.metadata) { own, _ in own }
            }
        }
        return metadata
    }
}

private protocol Setting {
    var text: String { get }
}

extension Option: Setting where Value: SettingValue {
    var text: String { wrappedValue.settingText }
}

private protocol SettingsGroup {
    static func declareSettings()
    var metadata: Logger.Metadata { get }
}

extension OptionGroup: SettingsGroup {
    static func declareSettings() { Value.declareSettings() }
    var metadata: Logger.Metadata { wrappedValue.settingsMetadata }
}
