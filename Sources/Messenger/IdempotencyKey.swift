/// What a sender calls one message, to send it again without sending it twice.
public struct IdempotencyKey: Sendable, Hashable {
    /// Of printable ASCII, so it has one byte for each character.
    public static let maxLength = 64

    private let bytes: [UInt8]

    /// `nil` if the text is empty, too long, or has other characters than printable ASCII.
    public init?(_ text: String) {
        guard (1...Self.maxLength).contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        bytes = Array(text.utf8)
    }

    /// A key of 128 random bits, which nobody else uses.
    public static func random() -> IdempotencyKey {
        let digits = Array("0123456789abcdef".utf8)
        var generator = SystemRandomNumberGenerator()
        return IdempotencyKey(bytes: (0..<32).map { _ in digits[Int.random(in: 0..<16, using: &generator)] })
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    public var text: String { String(decoding: bytes, as: UTF8.self) }
}
