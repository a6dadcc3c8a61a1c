public import Logging

// What both programs can be told.

extension Setting where Value == Logger.Level {
    /// `MESSENGER_LOG_LEVEL`: which events are logged.
    public static var logLevel: Self {
        Setting("MESSENGER_LOG_LEVEL", default: .info, summary: "Least level of the events that are logged.")
    }
}

extension Setting where Value == ByteCount {
    /// `MESSENGER_MAX_AUTHOR_BYTES`: the longest author.
    public static var maxAuthorBytes: Self {
        Setting(
            "MESSENGER_MAX_AUTHOR_BYTES",
            default: 256,
            in: 1 ... .kibibytes(64),
            summary: "Longest author of a message, in bytes of UTF-8."
        )
    }

    /// `MESSENGER_MAX_TEXT_BYTES`: the longest text.
    public static var maxTextBytes: Self {
        Setting(
            "MESSENGER_MAX_TEXT_BYTES",
            default: .kibibytes(64),
            in: 1 ... .mebibytes(1),
            summary: "Longest text of a message, in bytes of UTF-8."
        )
    }
}
