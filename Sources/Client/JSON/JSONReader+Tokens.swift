// What the grammar is made of: bytes, and tokens with white space before them.

extension JSONReader {
    /// Reads a token, with white space before it.
    mutating func readToken(_ token: Unicode.Scalar) throws(JSONError) {
        _ = self.peek()
        try self.readByte { $0 == UInt8(ascii: token) }
    }

    /// Reads a token if it comes next.
    mutating func readTokenIfPresent(_ token: Unicode.Scalar) -> Bool {
        guard self.peek() == token else { return false }
        self.offset += 1
        return true
    }

    /// Reads the next byte, which has to be of a kind.
    @discardableResult
    mutating func readByte(where isExpected: (UInt8) -> Bool) throws(JSONError) -> UInt8 {
        guard self.offset < self.bytes.count else { throw self.error(.unexpectedEnd) }
        let byte = self.bytes[self.offset]
        guard isExpected(byte) else { throw self.error(.unexpectedByte) }
        self.offset += 1
        return byte
    }

    /// Reads the next byte if it is of a kind.
    @discardableResult
    mutating func readByteIfPresent(where isExpected: (UInt8) -> Bool) -> Bool {
        guard self.offset < self.bytes.count, isExpected(self.bytes[self.offset]) else { return false }
        self.offset += 1
        return true
    }

    /// An error at the current offset.
    func error(_ code: JSONError.Code) -> JSONError {
        JSONError(code: code, offset: self.offset)
    }
}
