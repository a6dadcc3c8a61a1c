internal import COpenSSL

/// SHA-256. OpenSSL computes it, which is there for gRPC's core anyway.
public enum SHA256 {
    /// The digest in hexadecimal: 64 lowercase characters. `nil` if OpenSSL has no memory, or if its configuration
    /// forbids SHA-256.
    public static func hexDigest(of bytes: [UInt8]) -> String? {
        guard let digest = digest(of: bytes) else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The 32 bytes of the digest; `nil` as ``hexDigest(of:)``.
    static func digest(of bytes: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: size)
        guard let algorithm, EVP_Digest(bytes, bytes.count, &digest, nil, algorithm, nil) == 1 else { return nil }
        return digest
    }

    /// To look it up takes longer than the digest of a short text. OpenSSL never changes it, so threads can share it.
    private nonisolated(unsafe) static let algorithm = EVP_MD_fetch(nil, "SHA256", nil)

    /// The size of a digest in bytes.
    static let size = 32
}
