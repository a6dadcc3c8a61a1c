internal import LibGRPC

/// What a sender calls one message, to send it again without sending it twice.
public struct IdempotencyKey: Sendable, Equatable {
    /// Of printable ASCII, so it has one byte for each character.
    public static let maxLength = 64

    public let text: String

    /// `nil` if the text is empty, too long, or has other characters than printable ASCII.
    public init?(_ text: String) {
        var text = text
        let isValid = text.withUTF8 { bytes in
            (1...Self.maxLength).contains(bytes.count) && bytes.allSatisfy { (0x20...0x7E).contains($0) }
        }
        guard isValid else { return nil }
        self.text = text
    }

    /// A key of 128 random bits, which nobody else uses.
    public static func random() -> IdempotencyKey {
        let digits = Array("0123456789abcdef".utf8)
        // Each random number is a system call, so there are two, not one for each digit.
        let characters = (0..<2).flatMap { _ in
            let bits = UInt64.random(in: 0 ... .max)
            return (0..<16).map { digits[Int(bits >> (4 * $0) & 15)] }
        }
        return IdempotencyKey(text: String(decoding: characters, as: UTF8.self))
    }

    private init(text: String) {
        self.text = text
    }

    /// Compares bytes.
    public static func == (left: Self, right: Self) -> Bool { left.text.hasBytes(of: right.text) }
}
