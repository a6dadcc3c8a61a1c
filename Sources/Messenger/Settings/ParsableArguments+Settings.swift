public import ArgumentParser
public import Logging
internal import Synchronization

// What can be done with all settings of a program.

extension ParsableArguments {
    /// Parses the command line. A flag that is not given gets its value from the environment, if there is one.
    ///
    /// - Parameter environment: Returns a variable's value. An empty one counts as unset.
    /// - Throws: ``StartError`` for a value that is not allowed, ArgumentParser's errors for everything else.
    static func parse(_ words: [String], environment: @escaping @Sendable (String) -> String?) throws -> Self {
        if words.isEmpty { return try SettingsEnvironment.settings(from: environment) }
        let settings = SettingDeclaration.collected { _ = Self() }
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

    /// All settings and their values, for the log.
    public var settingsMetadata: Logger.Metadata {
        var metadata: Logger.Metadata = [:]
        for child in Mirror(reflecting: self).children {
            switch LoggedSetting.value(of: child.value) {
            case .dictionary(let group)?: metadata.merge(group) { own, _ in own }
            // The label of the property's wrapper begins with an underscore.
            case let text?: metadata[String(child.label?.dropFirst() ?? "")] = text
            case nil: break
            }
        }
        return metadata
    }
}

/// How the log gets the values of settings: each type of property is registered when the first one is declared.
///
/// A cast to a protocol would need no registration. But for each type, Swift would search the conformances of the whole
/// program: that was a fifth of the instructions of a start.
enum LoggedSetting {
    private typealias Reading = @Sendable (Any) -> Logger.MetadataValue?

    private static let readings = Mutex<[(type: ObjectIdentifier, reading: Reading)]>([])

    static func register<Property>(_ read: @escaping @Sendable (Property) -> Logger.MetadataValue) {
        let type = ObjectIdentifier(Property.self)
        readings.withLock { readings in
            guard !readings.contains(where: { $0.type == type }) else { return }
            readings.append((type, { ($0 as? Property).map(read) }))
        }
    }

    fileprivate static func value(of property: Any) -> Logger.MetadataValue? {
        let type = ObjectIdentifier(type(of: property))
        let reading = readings.withLock { $0.first { $0.type == type }?.reading }
        return reading?(property)
    }
}
