import NIOHTTP1

/// What log lines about one request have in common, also those of other programs.
package enum RequestID {
    /// Longer ones are not taken.
    private static let maxLength = 128

    /// The ID that a request brings: the trace of a W3C `traceparent`, else its `X-Request-Id`; a new one if neither is
    /// valid.
    static func of(_ headers: HTTPHeaders) -> String {
        if let parent = only(headers["traceparent"]), let trace = traceID(parent) { return trace }
        if let id = only(headers["X-Request-Id"]), isValid(id.utf8) { return id }
        return random()
    }

    /// Whether an ID may be in a log line and in a header field as it is: letters, digits and a few signs.
    package static func isValid(_ id: some Collection<UInt8>) -> Bool {
        !id.isEmpty && id.count <= maxLength
            && id.allSatisfy { byte in
                switch Unicode.Scalar(byte) {
                case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", ":", "/", "+", "=": true
                default: false
                }
            }
    }

    private static func only(_ values: [String]) -> String? {
        values.count == 1 ? values[0] : nil
    }

    /// The trace in `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
    private static func traceID(_ parent: String) -> String? {
        let parts = parent.utf8.prefix(maxLength).split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        let zero = UInt8(ascii: "0")
        guard parts.count >= 4, parts[0].count == 2, parts[1].count == 32, parts[2].count == 16, parts[3].count == 2,
            parts[..<4].allSatisfy({ $0.allSatisfy(isHexDigit) }), !parts[0].elementsEqual("ff".utf8),
            !parts[1].allSatisfy({ $0 == zero }), !parts[2].allSatisfy({ $0 == zero })
        else { return nil }
        return String(decoding: Array(parts[1]), as: UTF8.self)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func random() -> String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
