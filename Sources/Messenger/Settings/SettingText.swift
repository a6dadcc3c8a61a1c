extension FixedWidthInteger {
    /// Parses decimal digits and nothing else; unlike `init(_:)` it takes no sign.
    init?(decimal text: some StringProtocol) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        self.init(text)
    }
}

extension String {
    /// Splits `64KiB` into `64` and `KiB`.
    func splitBeforeUnit() -> (number: Substring, unit: String) {
        let end = self.utf8.firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? self.endIndex
        return (self[..<end], String(self[end...]))
    }
}
