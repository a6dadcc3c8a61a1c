public import Logging

/// Writes each event as one line of a ``LogFormat``.
///
/// swift-log's `StreamLogHandler` does not escape line breaks: a peer's text could look like an event. Its times are
/// whole seconds in local time.
public struct LineLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let format: LogFormat
    private let now: @Sendable () -> SendTime
    private let write: @Sendable (() -> String) -> Void

    /// - Parameters:
    ///   - label: The logger's label.
    ///   - logLevel: The lowest level that is written.
    ///   - format: How the line looks.
    ///   - now: The clock for the lines' times.
    ///   - write: Writes the line that its closure makes, with a line feed. It runs the closure when no other line can
    ///     come between, so that lines are in the order of their times. Called on the thread that logs, so it must not
    ///     block.
    public init(
        label: String,
        logLevel: Logger.Level,
        format: LogFormat = .text,
        now: @escaping @Sendable () -> SendTime = SendTime.now,
        write: @escaping @Sendable (() -> String) -> Void
    ) {
        self.label = label
        self.logLevel = logLevel
        self.format = format
        self.now = now
        self.write = write
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let line = format.event(event.level, label, event.message, merged(event))
        write { line.text(at: now()) }
    }

    /// All metadata for an event. Its own wins over the provider's, and that over the logger's.
    private func merged(_ event: LogEvent) -> Logger.Metadata {
        var merged = metadata
        if let provided = metadataProvider?.get() {
            merged.merge(provided) { _, provided in provided }
        }
        if let explicit = event.metadata {
            merged.merge(explicit) { _, explicit in explicit }
        }
        if let error = event.error {
            merged["error"] = "\(error)"
        }
        return merged
    }
}

/// Escapes texts for a line of the log.
enum LogText {
    /// Escapes control characters, line breaks, invisible characters and those that change the direction of writing. A
    /// backslash is doubled. So the text stays on its line.
    static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { !isPrintableASCII($0) }) else { return text }
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isPrintable(scalar) {
                escaped.append(scalar)
            } else {
                escaped.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
            }
        }
        return String(escaped)
    }

    /// Removes users and passwords from addresses such as `redis://user:password@host`.
    static func redacted(_ text: String) -> String {
        let bytes = Array(text.utf8)
        // The last `@`: a password may contain one, or a space.
        guard let at = bytes.lastIndex(of: UInt8(ascii: "@")) else { return text }
        let scheme = Array("://".utf8)
        let starts = bytes.indices.lazy.filter { bytes[$0...].starts(with: scheme) }.map { $0 + scheme.count }
        // Skip the placeholder of error messages: `[USER:PASSWORD@]`.
        let address = starts.first { $0 > at || !"[ ".utf8.contains(bytes[$0]) }
        guard let start = address ?? mistypedLogin(bytes, at), start <= at else { return text }
        return String(decoding: bytes[..<start] + Array("***".utf8) + bytes[at...], as: UTF8.self)
    }

    /// The start of a word such as `user:password@host` or `redis:/user:password@host`, if there is one before an `@`.
    private static func mistypedLogin(_ bytes: [UInt8], _ at: Int) -> Int? {
        let word = bytes[..<at].split(omittingEmptySubsequences: false) { " '\"=".utf8.contains($0) }.last ?? []
        let isPlaceholder = word.suffix(14).elementsEqual("[USER:PASSWORD".utf8)
        return word.contains(UInt8(ascii: ":")) && !isPlaceholder ? word.startIndex : nil
    }

    /// The text as one word: in quotation marks if it is empty or contains a space, a quotation mark or an equals sign.
    static func quoted(_ text: String) -> String {
        let escaped = self.escaped(text)
        guard text.isEmpty || text.utf8.contains(where: wordBreakers.contains) else { return escaped }
        var quoted = Array("\"".utf8)
        for byte in escaped.utf8 {
            if byte == UInt8(ascii: "\"") { quoted.append(UInt8(ascii: "\\")) }
            quoted.append(byte)
        }
        quoted.append(UInt8(ascii: "\""))
        return String(decoding: quoted, as: UTF8.self)
    }

    /// The text as a string of JSON, with the same characters escaped, so that it stays on its line.
    static func json(_ text: String) -> String {
        var json = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" {
                json += "\\\(scalar)"
            } else if isPrintable(scalar) {
                json.unicodeScalars.append(scalar)
            } else {
                for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
                    let digits = String(unit, radix: 16)
                    json += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return json + "\""
    }

    private static func isPrintableASCII(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\\")
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return isPrintableASCII(UInt8(truncatingIfNeeded: scalar.value)) }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: return false
        case .lineSeparator, .paragraphSeparator, .spaceSeparator: return false
        default: return !scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    private static let wordBreakers = Array(" \"=".utf8)
}
