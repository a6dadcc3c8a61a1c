extension JSONReader {
    /// Reads a string with its quotation marks.
    mutating func readString() throws(JSONError) -> String {
        try self.readToken("\"")
        let start = self.offset
        // Most strings hold no escape and can be taken as they are.
        self.skipPlainBytes()
        let end = self.offset
        if self.readByteIfPresent(where: { $0 == UInt8(ascii: "\"") }) {
            return try self.makeString(self.bytes.span.extracting(start..<end), start: start)
        }
        return try self.readStringWithEscapes(start: start)
    }

    /// Reads the rest of a string of which all so far stands for itself.
    private mutating func readStringWithEscapes(start: Int) throws(JSONError) -> String {
        var decoded = Array(self.bytes[start..<self.offset])
        while true {
            if self.readByteIfPresent(where: { $0 == UInt8(ascii: "\"") }) {
                return try self.makeString(decoded.span, start: start)
            }
            if self.readByteIfPresent(where: { $0 == UInt8(ascii: "\\") }) {
                decoded.append(contentsOf: try self.readEscape().utf8)
            } else {
                guard self.offset < self.bytes.count else { throw self.error(.unexpectedEnd) }
                throw self.error(.controlCharacter)
            }
            let plainStart = self.offset
            self.skipPlainBytes()
            decoded.append(contentsOf: self.bytes[plainStart..<self.offset])
        }
    }

    /// Passes over bytes that stand for themselves.
    private mutating func skipPlainBytes() {
        while self.offset < self.bytes.count {
            let byte = self.bytes[self.offset]
            guard byte >= 0x20, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { return }
            self.offset += 1
        }
    }

    /// Reads what follows a backslash.
    private mutating func readEscape() throws(JSONError) -> Unicode.Scalar {
        guard self.offset < self.bytes.count else { throw self.error(.unexpectedEnd) }
        let byte = Unicode.Scalar(self.bytes[self.offset])
        let scalar: Unicode.Scalar
        switch byte {
        case "\"", "\\", "/": scalar = byte
        case "b": scalar = "\u{8}"
        case "f": scalar = "\u{C}"
        case "n": scalar = "\n"
        case "r": scalar = "\r"
        case "t": scalar = "\t"
        case "u": return try self.readUnicodeEscape()
        default: throw self.error(.badEscape)
        }
        self.offset += 1
        return scalar
    }

    /// Reads `u` and four hexadecimal digits, and a second such escape when the two are halves of one scalar.
    private mutating func readUnicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let unpaired = self.error(.unpairedSurrogate)
        let first = try self.readCodeUnit()
        guard UTF16.isLeadSurrogate(first) else {
            // A trail surrogate with no lead before it is no scalar.
            guard let scalar = Unicode.Scalar(first) else { throw unpaired }
            return scalar
        }
        guard self.readByteIfPresent(where: { $0 == UInt8(ascii: "\\") }), self.offset < self.bytes.count,
            self.bytes[self.offset] == UInt8(ascii: "u")
        else { throw unpaired }
        let second = try self.readCodeUnit()
        guard
            UTF16.isTrailSurrogate(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) & 0x3FF) << 10 + UInt32(second) & 0x3FF)
        else { throw unpaired }
        return scalar
    }

    private mutating func readCodeUnit() throws(JSONError) -> UInt16 {
        try self.readByte { $0 == UInt8(ascii: "u") }
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard self.offset < self.bytes.count else { throw self.error(.unexpectedEnd) }
            guard let digit = Character(Unicode.Scalar(self.bytes[self.offset])).hexDigitValue else {
                throw self.error(.badEscape)
            }
            unit = unit << 4 | UInt16(digit)
            self.offset += 1
        }
        return unit
    }

    private func makeString(_ bytes: Span<UInt8>, start: Int) throws(JSONError) -> String {
        // `String(validating:as:)` does the same with three times the instructions.
        guard let text = try? UTF8Span(validating: bytes) else { throw JSONError(code: .badUTF8, offset: start) }
        return String(copying: text)
    }
}
