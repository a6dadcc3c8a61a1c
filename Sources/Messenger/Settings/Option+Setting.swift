public import ArgumentParser

extension Option {
    /// Declares the flag of a setting.
    ///
    /// The property is `nil` when the flag is not given; ``Setting/value(flag:environment:)`` then looks further.
    public init<T>(_ setting: Setting<T>) where Value == T? {
        self.init(
            name: .customLong(setting.flag),
            help: setting.help,
            transform: { try setting.parse($0) }
        )
    }

    /// Declares the flag of a setting whose values may hold a password; ``Setting/value(secretFlag:environment:)`` parses it.
    public init<T>(secret setting: Setting<T>) where Value == String? {
        self.init(name: .customLong(setting.flag), help: setting.help)
    }
}
