internal import CGRPC

/// How a channel behaves.
public struct ChannelOptions: Sendable {
    /// The largest message that the server may send, in bytes; a larger one fails the call with `RESOURCE_EXHAUSTED`.
    public var maxReceiveMessageSize = 4 << 20
    /// The time between the first two attempts to connect; from there it grows, with jitter.
    public var initialBackoff: Duration = .milliseconds(100)
    /// What the time between two attempts to connect grows to.
    public var maxBackoff: Duration = .seconds(2)
    /// How long one attempt to connect may take, its TLS handshake included.
    public var connectTimeout: Duration = .seconds(10)
    /// Finds a silent server; `nil` for none.
    public var keepalive: Keepalive? = .default
    /// What a stream that is not being read may hold back in memory, in bytes; `nil` leaves it to the core, which goes
    /// up to 4 MiB and more.
    public var streamWindow: Int?
    /// How responses may be compressed; a server that knows gRPC compresses in no other way. With none, requests are not
    /// compressed either, whatever their calls ask for, and calls do not pass through what would do it: each costs
    /// less.
    public var acceptedCompression: Set<CompressionAlgorithm> = [.none, .deflate, .gzip]
    /// How the requests of calls are compressed that do not say it themselves.
    public var compression = CompressionAlgorithm.none
    /// The name that the server's certificate must have, where that is not the target's host.
    public var tlsServerName: String?
    /// After this long without a call the connection is closed, until the next call; at least 1 s, `nil` for never.
    public var idleTimeout: Duration?
    /// Bounds the memory that the channel's connections take, with that of others that share it.
    public var resourceQuota: ResourceQuota?
    /// Whether to connect by way of the HTTP proxy that the environment names (`grpc_proxy`, `https_proxy`, `http_proxy`;
    /// `no_grpc_proxy`, `no_proxy`).
    public var usesProxy = false
    /// Precedes the core's own name in the `user-agent` header.
    public var userAgent: String?

    /// The defaults.
    public init() {}

    /// Whether anything can be compressed, either way.
    var compresses: Bool { !acceptedCompression.isSubset(of: [.none]) }

    var arguments: CoreArguments {
        var arguments = CoreArguments()
        arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, maxReceiveMessageSize)
        arguments.setMilliseconds(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, initialBackoff)
        // Whatever its name says, it bounds an attempt, not the time between two.
        arguments.setMilliseconds(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connectTimeout)
        arguments.setMilliseconds(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, maxBackoff)
        // A name that does not resolve yet, as when containers start together, is asked for as often as connections
        // are tried; the core's own minimum is 30 s.
        arguments.setMilliseconds(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, initialBackoff)
        // Channels to one target would share a connection otherwise, and with it its options.
        arguments.set(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, true)
        arguments.set(GRPC_ARG_ENABLE_CHANNELZ, false)
        arguments.set(GRPC_ARG_ENABLE_HTTP_PROXY, usesProxy)
        keepalive?.add(to: &arguments)
        if let streamWindow {
            arguments.set(GRPC_ARG_HTTP2_BDP_PROBE, false)
            arguments.set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, streamWindow)
        }
        arguments.set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, acceptedCompression.coreValue)
        if compresses {
            arguments.set(GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM, compression.coreValue)
        } else {
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, false)
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, false)
        }
        if let tlsServerName { arguments.set(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, tlsServerName) }
        arguments.setMilliseconds(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, idleTimeout.map { max($0, .seconds(1)) })
        if let resourceQuota { arguments.set(resourceQuota) }
        if let userAgent { arguments.set(GRPC_ARG_PRIMARY_USER_AGENT_STRING, userAgent) }
        return arguments
    }
}
