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
    static let greatestDepth = 64

    let bytes: [UInt8]
    var offset: Int

    /// Creates a reader at the beginning of a text; a byte order mark there is passed over.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.offset = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    }

    /// The next byte that is not white space, without reading it: it tells the kind of the value that follows.
    mutating func peek() -> Unicode.Scalar? {
        while self.offset < self.bytes.count {
            let byte = Unicode.Scalar(self.bytes[self.offset])
            guard byte == " " || byte == "\n" || byte == "\r" || byte == "\t" else { return byte }
            self.offset += 1
        }
        return nil
    }

    /// Reads an object's opening brace, its first key and the colon; `nil` when the object is empty.
    mutating func readFirstKey() throws(JSONError) -> String? {
        try self.readToken("{")
        if self.readTokenIfPresent("}") { return nil }
        return try self.readKey()
    }

    /// Reads a comma, the next key and the colon; `nil` when the object ends instead.
    mutating func readNextKey() throws(JSONError) -> String? {
        if self.readTokenIfPresent("}") { return nil }
        try self.readToken(",")
        return try self.readKey()
    }

    /// Checks that nothing but white space follows.
    mutating func readEnd() throws(JSONError) {
        if self.peek() != nil { throw self.error(.unexpectedByte) }
    }

    private mutating func readKey() throws(JSONError) -> String {
        let key = try self.readString()
        try self.readToken(":")
        return key
    }
}
