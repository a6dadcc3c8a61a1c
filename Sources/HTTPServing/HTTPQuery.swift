package import NIOHTTP1

/// The parameters in a request's target: `?after=…&limit=…`.
package struct HTTPQuery: Sendable {
    private let parameters: [(name: String, value: String)]

    /// - Throws: 400 if a percent sign is not followed by two hexadecimal digits, or if the bytes are not UTF-8.
    package init(_ head: HTTPRequestHead) throws(HTTPFailure) {
        guard let start = head.uri.utf8.firstIndex(of: UInt8(ascii: "?")) else {
            parameters = []
            return
        }
        var parameters: [(String, String)] = []
        let query = head.uri.utf8[head.uri.utf8.index(after: start)...].prefix { $0 != UInt8(ascii: "#") }
        for part in query.split(separator: UInt8(ascii: "&")) {
            let end = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            let name = try Self.decoded(part[..<end])
            parameters.append((name, try Self.decoded(part[end...].dropFirst())))
        }
        self.parameters = parameters
    }

    /// The value of a parameter; `nil` if it is not there.
    ///
    /// - Throws: 400 if it is there twice.
    package func value(_ name: StaticString) throws(HTTPFailure) -> String? {
        // As bytes: a peer chose the names.
        let bytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        let values = parameters.filter { $0.name.utf8.elementsEqual(bytes) }
        guard values.count <= 1 else { throw HTTPFailure(.badRequest, "The parameter \(name) is there twice.") }
        return values.first?.value
    }

    /// The value of a parameter that is a number within a range.
    package func number(_ name: StaticString, in range: ClosedRange<Int>) throws(HTTPFailure) -> Int? {
        guard let text = try value(name) else { return nil }
        let isNumber = (1...18).contains(text.utf8.count) && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        guard isNumber, let number = Int(text), range.contains(number) else {
            let form = "a number from \(range.lowerBound) to \(range.upperBound)"
            throw HTTPFailure(.badRequest, "The parameter \(name) must be \(form).")
        }
        return number
    }

    private static func decoded(_ text: Substring.UTF8View) throws(HTTPFailure) -> String {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                throw invalid
            }
            bytes.append(high << 4 | low)
        }
        guard let string = String(validating: bytes, as: UTF8.self) else { throw invalid }
        return string
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch Unicode.Scalar(digit) {
        case "0"..."9": digit - UInt8(ascii: "0")
        case "a"..."f": digit - UInt8(ascii: "a") + 10
        case "A"..."F": digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static let invalid = HTTPFailure(.badRequest, "The request's query is not valid.")
}
