/// How texts from anywhere are written within a line of the log.
enum LogText {
    /// The text with control characters and line breaks escaped, so that it stays within its line.
    static func escaping(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: self.leavesLine) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            escaped += self.leavesLine(scalar) ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return escaped
    }

    /// The text without the users and passwords of the addresses in it, such as `redis://user:password@host`.
    static func concealingPasswords(_ text: String) -> String {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map { word in
            guard let scheme = word.firstRange(of: "://"), let at = word.lastIndex(of: "@"), at >= scheme.upperBound,
                // A placeholder is none: `[USER:PASSWORD@]`.
                word[scheme.upperBound] != "["
            else { return String(word) }
            return word[..<scheme.upperBound] + "***" + word[at...]
        }
        return words.joined(separator: " ")
    }

    /// The text as one word: in quotation marks when it is empty or holds a space, a quotation mark or an equals sign.
    static func quoting(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text.utf8.contains { self.wordBreakers.contains($0) }
        let escaped = self.escaping(text)
        guard needsQuotes else { return escaped }
        return "\"" + escaped.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }

    private static func leavesLine(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    private static let wordBreakers = Array(" \"=".utf8)
}
