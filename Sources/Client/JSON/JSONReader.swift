/// Reads a JSON text (RFC 8259) from its beginning to its end, strictly.
///
/// Foundation's `JSONDecoder` does not serve: it guesses UTF-16 and UTF-32, takes a comma before a closing brace, and
/// does not look into values that nobody asks for, so that broken strings and numbers in them pass.
///
/// Objects and arrays are read element by element:
///
/// ```swift
/// var key = try reader.readFirstKey()
/// while let name = key {
///     // read or skip the value
///     key = try reader.readNextKey()
/// }
/// ```
struct JSONReader {
    /// How deep arrays and objects may nest; reading a value uses stack in proportion.
    static let maxDepth = 64

    let bytes: [UInt8]
    var offset: Int

    /// Creates a reader at the beginning of a text; a byte order mark there is passed over.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        offset = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    }

    /// The next byte that is not white space, without reading it: it tells the kind of the value that follows.
    mutating func peek() -> Unicode.Scalar? {
        while offset < bytes.count {
            let byte = Unicode.Scalar(bytes[offset])
            guard byte == " " || byte == "\n" || byte == "\r" || byte == "\t" else { return byte }
            offset += 1
        }
        return nil
    }

    /// Reads an object's opening brace, its first key and the colon; `nil` when the object is empty.
    mutating func readFirstKey() throws(JSONError) -> String? {
        try readToken("{")
        if readTokenIfPresent("}") { return nil }
        return try readKey()
    }

    /// Reads a comma, the next key and the colon; `nil` when the object ends instead.
    mutating func readNextKey() throws(JSONError) -> String? {
        if readTokenIfPresent("}") { return nil }
        try readToken(",")
        return try readKey()
    }

    /// Checks that nothing but white space follows.
    mutating func readEnd() throws(JSONError) {
        if peek() != nil { throw error(.unexpectedByte) }
    }

    private mutating func readKey() throws(JSONError) -> String {
        let key = try readString()
        try readToken(":")
        return key
    }
}

// MARK: - Values that are skipped

extension JSONReader {
    /// Reads a value of any kind and drops it, checking it all the same.
    mutating func skipValue() throws(JSONError) {
        try skipValue(depth: 0)
    }

    private mutating func skipValue(depth: Int) throws(JSONError) {
        guard depth < Self.maxDepth else { throw error(.tooDeep) }
        switch peek() {
        case "{":
            var key = try readFirstKey()
            while key != nil {
                try skipValue(depth: depth + 1)
                key = try readNextKey()
            }
        case "[":
            try readToken("[")
            if readTokenIfPresent("]") { return }
            repeat {
                try skipValue(depth: depth + 1)
            } while try readCommaOrClosingBracket()
        case "\"":
            _ = try readString()
        case "t":
            try readWord("true")
        case "f":
            try readWord("false")
        case "n":
            try readWord("null")
        default:
            try readNumber()
        }
    }

    /// Whether the array goes on.
    private mutating func readCommaOrClosingBracket() throws(JSONError) -> Bool {
        if readTokenIfPresent("]") { return false }
        try readToken(",")
        return true
    }

    private mutating func readWord(_ word: String) throws(JSONError) {
        for expected in word.utf8 {
            try readByte { $0 == expected }
        }
    }

    private mutating func readNumber() throws(JSONError) {
        readByteIfPresent { $0 == UInt8(ascii: "-") }
        if !readByteIfPresent(where: { $0 == UInt8(ascii: "0") }) {
            try readDigits()
        }
        if readByteIfPresent(where: { $0 == UInt8(ascii: ".") }) {
            try readDigits()
        }
        if readByteIfPresent(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
            readByteIfPresent { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
            try readDigits()
        }
    }

    private mutating func readDigits() throws(JSONError) {
        try readByte(where: Self.isDigit)
        while readByteIfPresent(where: Self.isDigit) {}
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

// MARK: - Bytes, and tokens with white space before them

extension JSONReader {
    /// Reads a token, with white space before it.
    mutating func readToken(_ token: Unicode.Scalar) throws(JSONError) {
        _ = peek()
        try readByte { $0 == UInt8(ascii: token) }
    }

    /// Reads a token if it comes next.
    mutating func readTokenIfPresent(_ token: Unicode.Scalar) -> Bool {
        guard peek() == token else { return false }
        offset += 1
        return true
    }

    /// Reads the next byte, which has to be of a kind.
    @discardableResult
    mutating func readByte(where isExpected: (UInt8) -> Bool) throws(JSONError) -> UInt8 {
        guard offset < bytes.count else { throw error(.unexpectedEnd) }
        let byte = bytes[offset]
        guard isExpected(byte) else { throw error(.unexpectedByte) }
        offset += 1
        return byte
    }

    /// Reads the next byte if it is of a kind.
    @discardableResult
    mutating func readByteIfPresent(where isExpected: (UInt8) -> Bool) -> Bool {
        guard offset < bytes.count, isExpected(bytes[offset]) else { return false }
        offset += 1
        return true
    }

    /// An error at the current offset.
    func error(_ code: JSONError.Code) -> JSONError {
        JSONError(code: code, offset: offset)
    }
}

/// Why a text is not JSON (RFC 8259) that the client reads.
struct JSONError: Error, Sendable, Equatable {
    /// What is wrong with it.
    enum Code: Sendable {
        case unexpectedByte, unexpectedEnd, controlCharacter, badEscape, unpairedSurrogate, badUTF8, tooDeep
    }

    /// What is wrong.
    var code: Code
    /// Where: a number of bytes from the beginning.
    var offset: Int

    /// One sentence for whoever sent the text.
    var sentence: String {
        switch code {
        case .unexpectedByte: "The body is not valid JSON: unexpected byte at offset \(offset)."
        case .unexpectedEnd: "The body is not valid JSON: it ends too early."
        case .controlCharacter: "The body is not valid JSON: unescaped control character at offset \(offset)."
        case .badEscape: "The body is not valid JSON: unknown escape at offset \(offset)."
        case .unpairedSurrogate: "The body is not valid JSON: unpaired surrogate at offset \(offset)."
        case .badUTF8: "The body is not valid JSON: a string at offset \(offset) is not UTF-8."
        case .tooDeep: "The body is nested deeper than \(JSONReader.maxDepth) levels."
        }
    }
}
