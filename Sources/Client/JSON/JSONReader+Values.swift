extension JSONReader {
    /// Reads a value of any kind and drops it, checking it all the same.
    mutating func skipValue() throws(JSONError) {
        try self.skipValue(depth: 0)
    }

    private mutating func skipValue(depth: Int) throws(JSONError) {
        guard depth < Self.greatestDepth else { throw self.error(.tooDeep) }
        switch self.peek() {
        case "{":
            var key = try self.readFirstKey()
            while key != nil {
                try self.skipValue(depth: depth + 1)
                key = try self.readNextKey()
            }
        case "[":
            try self.readToken("[")
            if self.readTokenIfPresent("]") { return }
            repeat {
                try self.skipValue(depth: depth + 1)
            } while try self.readCommaOrClosingBracket()
        case "\"":
            _ = try self.readString()
        case "t":
            try self.readWord("true")
        case "f":
            try self.readWord("false")
        case "n":
            try self.readWord("null")
        default:
            try self.readNumber()
        }
    }

    /// Whether the array goes on.
    private mutating func readCommaOrClosingBracket() throws(JSONError) -> Bool {
        if self.readTokenIfPresent("]") { return false }
        try self.readToken(",")
        return true
    }

    private mutating func readWord(_ word: String) throws(JSONError) {
        for expected in word.utf8 {
            try self.readByte { $0 == expected }
        }
    }

    private mutating func readNumber() throws(JSONError) {
        self.readByteIfPresent { $0 == UInt8(ascii: "-") }
        if !self.readByteIfPresent(where: { $0 == UInt8(ascii: "0") }) {
            try self.readDigits()
        }
        if self.readByteIfPresent(where: { $0 == UInt8(ascii: ".") }) {
            try self.readDigits()
        }
        if self.readByteIfPresent(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
            self.readByteIfPresent { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
            try self.readDigits()
        }
    }

    private mutating func readDigits() throws(JSONError) {
        try self.readByte(where: JSONReader.isDigit)
        while self.readByteIfPresent(where: JSONReader.isDigit) {}
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
