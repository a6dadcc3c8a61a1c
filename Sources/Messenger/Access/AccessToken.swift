internal import LibGRPC

/// A secret that its holder shows to use a port.
public enum AccessToken {
    /// The most that is looked at: everybody can send one.
    public static let maxLength = 512

    /// A token of 238 random bits, with letters and digits only.
    public static func random() -> String {
        let characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        // It gets its bits from the kernel.
        var generator = SystemRandomNumberGenerator()
        let token = (0..<40).map { _ in characters[Int.random(in: characters.indices, using: &generator)] }
        return String(decoding: token, as: UTF8.self)
    }

    /// Whether a text can be a token: printable ASCII without a space.
    public static func isValid(_ text: some Collection<UInt8>) -> Bool {
        (1...maxLength).contains(text.count) && text.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// The token in `Bearer TOKEN`; `nil` if there is none.
    static func bearer(in field: [UInt8]) -> ArraySlice<UInt8>? {
        let scheme = Array("bearer ".utf8)
        guard field.prefix(scheme.count).elementsEqual(scheme, by: { $0 == $1 || ($1 > 0x60 && $0 | 0x20 == $1) })
        else {
            return nil
        }
        let token = field[scheme.count...].drop { $0 == UInt8(ascii: " ") }
        return token.isEmpty ? nil : token
    }
}

/// The SHA-256 digest of a token. The file of tokens has these, so that reading it does not give the tokens away.
struct TokenDigest: Sendable, Hashable {
    private let bytes: [UInt8]

    /// `nil` if the text is too long for a token, or if there is no SHA-256.
    init?(of token: ArraySlice<UInt8>) {
        guard token.count <= AccessToken.maxLength, let digest = SHA256.digest(of: Array(token)) else { return nil }
        bytes = digest
    }

    /// `nil` if it is not 64 hexadecimal digits.
    init?(hex: some Collection<UInt8>) {
        guard hex.count == 2 * SHA256.size else { return nil }
        var digits = hex.makeIterator()
        var bytes: [UInt8] = []
        while let high = digits.next(), let low = digits.next() {
            guard let high = Self.digit(high), let low = Self.digit(low) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.bytes = bytes
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// Takes the same time wherever the two differ.
    static func == (left: Self, right: Self) -> Bool {
        var difference: UInt8 = 0
        for index in 0..<SHA256.size { difference |= left.bytes[index] ^ right.bytes[index] }
        return difference == 0
    }

    func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
