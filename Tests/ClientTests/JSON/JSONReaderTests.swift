import Testing

@testable import Client

@Suite struct JSONReaderTests {
    private func skip(_ text: String) throws(JSONError) {
        try self.skip(Array(text.utf8))
    }

    private func skip(_ bytes: [UInt8]) throws(JSONError) {
        var reader = JSONReader(bytes)
        try reader.skipValue()
        try reader.readEnd()
    }

    private func code(of text: String) -> JSONError.Code? {
        do throws(JSONError) {
            try self.skip(text)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: [
        "null", "true", "false", " \t\r\n1 ", "0", "-0", "-1.5e+10", "1E9", "0.1", "1e999", "\"\"", "\"\\u0000\"", "[]",
        "{}",
        "[1, [2, {\"a\": []}], \"x\"]", "{\"a\":1,\"a\":2}", "\u{FEFF}1",
    ])
    func takesEveryKindOfValue(text: String) {
        #expect(throws: Never.self) { try self.skip(text) }
    }

    @Test(arguments: [
        "nul", "nulll", "True", "NaN", "Infinity", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "--1", "1 2", "'a'",
        "[1,]", "[,]",
        "[1 2]", "{,}", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\" 1}", "[}", "{]", "]", "// x\n1", "1/**/",
        "\u{A0}1", "",
        " ", "[", "{", "{\"a\":1", "[1",
    ])
    func refusesWhatIsNoJSON(text: String) {
        #expect(throws: JSONError.self) { try self.skip(text) }
    }

    @Test(
        arguments: [
            ("\"\\ud800\"", .unpairedSurrogate), ("\"\\udc00\"", .unpairedSurrogate),
            ("\"\\ud800\\ud800\"", .unpairedSurrogate),
            ("\"\\ud800\\u0041\"", .unpairedSurrogate), ("\"\\ud800x\"", .unpairedSurrogate),
            ("\"\\ud83d\\n\"", .unpairedSurrogate),
            ("\"\\x\"", .badEscape), ("\"\\u00g0\"", .badEscape), ("\"\\U0041\"", .badEscape),
            ("\"\\u004", .unexpectedEnd), ("\"\\", .unexpectedEnd), ("\"a", .unexpectedEnd),
            ("\"\\u00", .unexpectedEnd),
            ("\"a\nb\"", .controlCharacter), ("\"a\u{0}b\"", .controlCharacter), ("\"\\n\u{1F}\"", .controlCharacter),
        ] as [(String, JSONError.Code)]
    )
    func saysWhatIsWrongWithAString(text: String, code: JSONError.Code) {
        #expect(self.code(of: text) == code)
    }

    @Test(
        arguments: [
            [0xFF], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80],
            // The same within a string that has an escape.
            [0x5C, 0x6E, 0xFF],
        ] as [[UInt8]]
    )
    func refusesStringsThatAreNoUTF8(bytes: [UInt8]) {
        let error = #expect(throws: JSONError.self) { try self.skip([0x22] + bytes + [0x22]) }
        #expect(error == JSONError(code: .badUTF8, offset: 1))
    }

    @Test func refusesUTF16() {
        #expect(throws: JSONError.self) { try self.skip(Array("{}".utf16.flatMap { [UInt8($0), 0] })) }
    }

    @Test(arguments: [
        ("\"\"", ""), ("\"hey\"", "hey"), ("\"привет 👋\"", "привет 👋"), ("\"\\u0000\"", "\u{0}"),
        ("\"a\\u0000b\"", "a\u{0}b"),
        ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{C}\n\r\t"), ("\"\\ud83d\\ude00\"", "😀"),
        ("\"\\uD83D\\uDE00!\"", "😀!"),
        ("\"\\u041f\\u0440\"", "Пр"), ("\"\\udbff\\udfff\"", "\u{10FFFF}"), ("\"\\uffff\"", "\u{FFFF}"),
        ("\"\u{7F}\"", "\u{7F}"),
    ])
    func decodesStrings(text: String, expected: String) throws {
        var reader = JSONReader(Array(text.utf8))
        let string = try reader.readString()
        // Compared as scalars: String's == would take composed and decomposed letters for the same.
        #expect(Array(string.unicodeScalars) == Array(expected.unicodeScalars))
        try reader.readEnd()
    }

    @Test func nestingIsBounded() {
        let depth = JSONReader.maxDepth
        for (open, inner, close) in [("[", "1", "]"), ("{\"a\":", "1", "}")] {
            let nested = { (count: Int) in
                String(repeating: open, count: count) + inner + String(repeating: close, count: count)
            }
            #expect(self.code(of: nested(depth - 1)) == nil)
            #expect(self.code(of: nested(depth)) == .tooDeep)
            // Far deeper than any stack.
            #expect(self.code(of: String(repeating: open, count: 1_000_000)) == .tooDeep)
        }
    }

    @Test func saysWhere() {
        let error = #expect(throws: JSONError.self) { try self.skip("[1, x]") }
        #expect(error?.sentence == "The body is not valid JSON: unexpected byte at offset 4.")
    }
}
