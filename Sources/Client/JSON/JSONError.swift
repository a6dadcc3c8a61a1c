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
        switch self.code {
        case .unexpectedByte: "The body is not valid JSON: unexpected byte at offset \(self.offset)."
        case .unexpectedEnd: "The body is not valid JSON: it ends too early."
        case .controlCharacter: "The body is not valid JSON: unescaped control character at offset \(self.offset)."
        case .badEscape: "The body is not valid JSON: unknown escape at offset \(self.offset)."
        case .unpairedSurrogate: "The body is not valid JSON: unpaired surrogate at offset \(self.offset)."
        case .badUTF8: "The body is not valid JSON: a string at offset \(self.offset) is not UTF-8."
        case .tooDeep: "The body is nested deeper than \(JSONReader.greatestDepth) levels."
        }
    }
}
