internal import COpenSSL

/// SHA-256. OpenSSL computes it, which is there for gRPC's core anyway.
public enum SHA256 {
    /// The digest in hexadecimal: 64 lowercase characters. `nil` if OpenSSL has no memory, or if its configuration
    /// forbids SHA-256.
    public static func hexDigest(of bytes: [UInt8]) -> String? {
        var digest = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
        var count: UInt32 = 0
        guard EVP_Digest(bytes, bytes.count, &digest, &count, EVP_sha256(), nil) == 1 else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: digest.prefix(Int(count)).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }
}
