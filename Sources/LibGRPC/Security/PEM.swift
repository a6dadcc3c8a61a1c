internal import Glibc

/// Certificates or a private key in PEM form: Base64 between `-----BEGIN …-----` and `-----END …-----`.
///
/// A key is secret, so `description` only says what kind of content there is.
public struct PEM: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    package let text: String

    /// In bytes. The certificates of all public authorities need a fifth of it.
    private static let maxFileSize = 1 << 20

    /// Does not check the text. Wrong content makes the handshake fail.
    public init(_ text: String) {
        self.text = text
    }

    /// Reads a file.
    ///
    /// - Throws: ``SystemError`` if the file cannot be read, or with `EFBIG` if it is larger than 1 MiB.
    public init(contentsOfFile path: String) throws(SystemError) {
        let action = "reading \(path)"
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SystemError(doing: action, errno: errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = read(file, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw SystemError(doing: action, errno: errno) }
            guard count > 0 else { break }
            bytes += chunk[..<count]
            guard bytes.count <= Self.maxFileSize else { throw SystemError(doing: action, errno: EFBIG) }
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// Whether there is at least one certificate.
    public var holdsCertificate: Bool { text.contains("-----BEGIN CERTIFICATE-----") }

    /// Whether there is a private key that needs no password.
    public var holdsPrivateKey: Bool {
        text.contains("PRIVATE KEY-----") && !text.contains("ENCRYPTED")
    }

    /// The kind of content, never the content itself.
    public var description: String {
        holdsPrivateKey ? "PEM with a private key" : holdsCertificate ? "PEM with certificates" : "PEM"
    }

    /// Empty, so that `dump` does not print a key.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
