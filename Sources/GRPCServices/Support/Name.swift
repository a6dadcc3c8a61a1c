/// The name of a service, a file or a symbol: bytes, compared as bytes, since strangers choose what to ask for.
///
/// Of a name that is too long only so much is kept as shows that it is.
struct Name: Hashable, Sendable {
    /// The longest name that anything has, in bytes.
    static let maxBytes = 256

    let bytes: [UInt8]

    init(_ bytes: some Collection<UInt8>) {
        self.bytes = Array(bytes.prefix(Self.maxBytes + 1))
    }

    /// Whether nothing has this name, because of its length.
    var isTooLong: Bool { bytes.count > Self.maxBytes }
}

extension Name: ExpressibleByStringLiteral {
    init(_ text: String) {
        self.init(text.utf8)
    }

    init(stringLiteral text: String) {
        self.init(text)
    }
}

extension Name: CustomStringConvertible {
    /// Bytes that are not UTF-8 are replaced.
    var description: String { String(decoding: bytes, as: UTF8.self) }
}
