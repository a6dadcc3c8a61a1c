/// How texts from anywhere are written within a line of the log.
enum LogText {
    /// The text with everything escaped that is not seen for what it is: control characters, line breaks, characters that
    /// change the direction of writing or show nothing. So it stays within its line. A backslash is doubled.
    static func escaping(_ text: String) -> String {
        guard text.utf8.contains(where: { !isPlain($0) }) else { return text }
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isShown(scalar) {
                escaped.append(scalar)
            } else {
                escaped.append(contentsOf: scalar.escaped(asASCII: true).unicodeScalars)
            }
        }
        return String(escaped)
    }

    /// The text without the users and passwords of the addresses in it, such as `redis://user:password@host`.
    static func concealingPasswords(_ text: String) -> String {
        let bytes = Array(text.utf8)
        // To the last one, as a password may hold another one, or a space.
        guard let at = bytes.lastIndex(of: UInt8(ascii: "@")) else { return text }
        let scheme = Array("://".utf8)
        let starts = bytes.indices.lazy.filter { bytes[$0...].starts(with: scheme) }.map { $0 + scheme.count }
        // A placeholder is none: `[USER:PASSWORD@]`.
        let address = starts.first { $0 > at || !"[ ".utf8.contains(bytes[$0]) }
        guard let start = address ?? mistypedLogin(bytes, at), start <= at else { return text }
        return String(decoding: bytes[..<start] + Array("***".utf8) + bytes[at...], as: UTF8.self)
    }

    /// Where a word such as `user:password@host` or `redis:/user:password@host` begins, if there is one before an `@`.
    private static func mistypedLogin(_ bytes: [UInt8], _ at: Int) -> Int? {
        let word = bytes[..<at].split(omittingEmptySubsequences: false) { " '\"=".utf8.contains($0) }.last ?? []
        let isPlaceholder = word.suffix(14).elementsEqual("[USER:PASSWORD".utf8)
        return word.contains(UInt8(ascii: ":")) && !isPlaceholder ? word.startIndex : nil
    }

    /// The text as one word: in quotation marks when it is empty or holds a space, a quotation mark or an equals sign.
    static func quoting(_ text: String) -> String {
        let escaped = escaping(text)
        guard text.isEmpty || text.utf8.contains(where: wordBreakers.contains) else { return escaped }
        var quoted = Array("\"".utf8)
        for byte in escaped.utf8 {
            if byte == UInt8(ascii: "\"") { quoted.append(UInt8(ascii: "\\")) }
            quoted.append(byte)
        }
        quoted.append(UInt8(ascii: "\""))
        return String(decoding: quoted, as: UTF8.self)
    }

    /// Whether the byte is a character of ASCII that stands for itself.
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\\")
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return isPlain(UInt8(truncatingIfNeeded: scalar.value)) }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned: return false
        case .lineSeparator, .paragraphSeparator, .spaceSeparator: return false
        default: return !scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    private static let wordBreakers = Array(" \"=".utf8)
}
