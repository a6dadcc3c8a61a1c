internal import CGRPC

// Options that channels and servers share.

/// Pings that detect a peer that has gone silent: frozen, unplugged, or behind a NAT that dropped the connection.
///
/// Use the same values on both ends. A server closes a connection that pings more often than the server allows, with
/// `GOAWAY` and `too_many_pings`. By default, servers of other libraries allow one ping in five minutes, and none
/// without a call.
///
/// ```swift
/// var options = ChannelOptions()
/// options.keepalive = Keepalive(interval: .seconds(300), timeout: .seconds(20))
/// ```
public struct Keepalive: Sendable, Hashable {
    /// A ping is sent after this long without anything from the peer. At least 1 s.
    public var interval: Duration
    /// The connection is closed if a ping is not answered for this long.
    public var timeout: Duration

    /// An interval below 1 s becomes 1 s.
    public init(interval: Duration, timeout: Duration) {
        self.interval = max(interval, .seconds(1))
        self.timeout = timeout
    }

    /// Detects a silent peer within 20 s. Servers of this library use it, so their clients may too.
    public static let `default` = Keepalive(interval: .seconds(10), timeout: .seconds(10))

    var timeoutInMilliseconds: Int32 { Int32(min(max(timeout / .milliseconds(1), 0), Double(Int32.max))) }

    func add(to arguments: inout CoreArguments) {
        arguments.setMilliseconds(GRPC_ARG_KEEPALIVE_TIME_MS, interval)
        arguments.setMilliseconds(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, timeout)
        arguments.set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, true)
        // Do not limit pings on a connection without other traffic: an idle stream is one.
        arguments.set(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0)
        // Tolerate pings of the peer at half the interval, so that jitter does not count as abuse.
        arguments.setMilliseconds(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, interval / 2)
    }
}

/// How messages are compressed on their way.
///
/// A client decompresses any algorithm. A server decompresses those in ``ServerOptions/acceptedCompression``. Do not
/// compress messages that contain a secret beside text that a stranger can choose.
public struct CompressionAlgorithm: Sendable, Hashable {
    /// The name on the wire, as in the `grpc-encoding` header.
    let name: String
    let coreValue: Int

    /// No compression.
    public static let none = CompressionAlgorithm(name: "identity", coreValue: Int(GRPC_COMPRESS_NONE.rawValue))
    /// zlib's format, which gRPC calls `deflate`.
    public static let deflate = CompressionAlgorithm(name: "deflate", coreValue: Int(GRPC_COMPRESS_DEFLATE.rawValue))
    /// The format that every gRPC implementation supports.
    public static let gzip = CompressionAlgorithm(name: "gzip", coreValue: Int(GRPC_COMPRESS_GZIP.rawValue))
}

extension Set<CompressionAlgorithm> {
    /// As a set of bits. "No compression" is always in it.
    var coreValue: Int { reduce(1) { $0 | 1 << $1.coreValue } }
}

extension Metadata {
    /// Adds the entry that asks the core to compress a call's messages. It never leaves the process.
    func requesting(_ compression: CompressionAlgorithm?) -> Metadata {
        guard let compression else { return self }
        var metadata = self
        metadata.append(.string(compression.name), forKey: GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY)
        return metadata
    }
}

/// A limit to the memory that the core uses for connections: for reading, for pending writes, for calls.
///
/// Near the limit, connections read more slowly and idle ones are closed. Beyond it, calls fail with
/// `RESOURCE_EXHAUSTED`. The limit is soft: what a call needs to end is always granted. Servers and channels may share
/// a quota, and then share the memory. Thread-safe.
///
/// ```swift
/// var options = ServerOptions()
/// options.resourceQuota = ResourceQuota(bytes: 256 << 20)
/// ```
///
/// `@unchecked`: the core's handle is thread-safe and counts its references.
public final class ResourceQuota: @unchecked Sendable {
    let handle: OpaquePointer

    /// - Parameter bytes: The limit, at least 1 MiB.
    public init(bytes: Int) {
        Library.initialize()
        handle = grpc_resource_quota_create("swift")
        grpc_resource_quota_resize(handle, max(bytes, 1 << 20))
    }

    deinit {
        grpc_resource_quota_unref(handle)
    }
}
