extension JSONReader {
    /// Reads a string with its quotation marks.
    mutating func readString() throws(JSONError) -> String {
        try readToken("\"")
        let start = offset
        // Most strings hold no escape and can be taken as they are.
        skipPlainBytes()
        let end = offset
        if readByteIfPresent(where: { $0 == UInt8(ascii: "\"") }) {
            return try makeString(bytes.span.extracting(start..<end), start: start)
        }
        return try readStringWithEscapes(start: start)
    }

    /// Reads the rest of a string of which all so far stands for itself.
    private mutating func readStringWithEscapes(start: Int) throws(JSONError) -> String {
        var decoded = Array(bytes[start..<offset])
        while true {
            if readByteIfPresent(where: { $0 == UInt8(ascii: "\"") }) {
                return try makeString(decoded.span, start: start)
            }
            if readByteIfPresent(where: { $0 == UInt8(ascii: "\\") }) {
                decoded.append(contentsOf: try readEscape().utf8)
            } else {
                guard offset < bytes.count else { throw error(.unexpectedEnd) }
                throw error(.controlCharacter)
            }
            let plainStart = offset
            skipPlainBytes()
            decoded.append(contentsOf: bytes[plainStart..<offset])
        }
    }

    /// Passes over bytes that stand for themselves.
    private mutating func skipPlainBytes() {
        let (quotationMark, backslash, count) = (UInt8(ascii: "\""), UInt8(ascii: "\\"), bytes.count)
        while offset < count {
            let byte = bytes[offset]
            guard byte >= 0x20, byte != quotationMark, byte != backslash else { return }
            offset += 1
        }
    }

    /// Reads what follows a backslash.
    private mutating func readEscape() throws(JSONError) -> Unicode.Scalar {
        guard offset < bytes.count else { throw error(.unexpectedEnd) }
        let byte = Unicode.Scalar(bytes[offset])
        let scalar: Unicode.Scalar
        switch byte {
        case "\"", "\\", "/": scalar = byte
        case "b": scalar = "\u{8}"
        case "f": scalar = "\u{C}"
        case "n": scalar = "\n"
        case "r": scalar = "\r"
        case "t": scalar = "\t"
        case "u": return try readUnicodeEscape()
        default: throw error(.badEscape)
        }
        offset += 1
        return scalar
    }

    /// Reads `u` and four hexadecimal digits, and a second such escape when the two are halves of one scalar.
    private mutating func readUnicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let unpaired = error(.unpairedSurrogate)
        let first = try readCodeUnit()
        guard UTF16.isLeadSurrogate(first) else {
            // A trail surrogate with no lead before it is no scalar.
            guard let scalar = Unicode.Scalar(first) else { throw unpaired }
            return scalar
        }
        guard readByteIfPresent(where: { $0 == UInt8(ascii: "\\") }), offset < bytes.count,
            bytes[offset] == UInt8(ascii: "u")
        else { throw unpaired }
        let second = try readCodeUnit()
        guard
            UTF16.isTrailSurrogate(second),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(first) & 0x3FF) << 10 + UInt32(second) & 0x3FF)
        else { throw unpaired }
        return scalar
    }

    private mutating func readCodeUnit() throws(JSONError) -> UInt16 {
        try readByte { $0 == UInt8(ascii: "u") }
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard offset < bytes.count else { throw error(.unexpectedEnd) }
            guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue else {
                throw error(.badEscape)
            }
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }

    private func makeString(_ bytes: Span<UInt8>, start: Int) throws(JSONError) -> String {
        // `String(validating:as:)` does the same with three times the instructions.
        guard let text = try? UTF8Span(validating: bytes) else { throw JSONError(code: .badUTF8, offset: start) }
        return String(copying: text)
    }
}
