internal import CGRPC

/// How messages are compressed on their way.
///
/// A client decompresses what it receives whatever its algorithm; a server, what ``ServerOptions/acceptedCompression``
/// names. Compression is not for messages that hold a secret beside what a stranger can choose.
public struct CompressionAlgorithm: Sendable, Hashable {
    /// The name on the wire, as in the `grpc-encoding` header.
    let name: String
    let coreValue: Int

    /// Not at all.
    public static let none = CompressionAlgorithm(name: "identity", coreValue: Int(GRPC_COMPRESS_NONE.rawValue))
    /// zlib's format, which gRPC calls `deflate`.
    public static let deflate = CompressionAlgorithm(name: "deflate", coreValue: Int(GRPC_COMPRESS_DEFLATE.rawValue))
    /// The format that every gRPC implementation knows.
    public static let gzip = CompressionAlgorithm(name: "gzip", coreValue: Int(GRPC_COMPRESS_GZIP.rawValue))
}

extension Set<CompressionAlgorithm> {
    /// As a set of bits. No compression is always in it.
    var coreValue: Int { reduce(1) { $0 | 1 << $1.coreValue } }
}

extension Metadata {
    /// With the entry by which the core is told, within the process, how to compress a call's messages.
    func requesting(_ compression: CompressionAlgorithm?) -> Metadata {
        guard let compression else { return self }
        var metadata = self
        metadata.append(.string(compression.name), forKey: GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY)
        return metadata
    }
}
