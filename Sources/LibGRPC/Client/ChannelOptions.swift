internal import CGRPC

/// Limits, timing, retries and load balancing of a channel.
///
/// ```swift
/// var options = ChannelOptions()
/// options.maxReceiveMessageSize = 16 << 20
/// options.loadBalancingPolicy = "round_robin"
/// let channel = Channel(target: "dns:///greeter.example:50051", options: options, group: group)
/// ```
public struct ChannelOptions: Sendable {
    /// The largest message that the server may send, in bytes. A larger one fails the call with `RESOURCE_EXHAUSTED`.
    public var maxReceiveMessageSize = 4 << 20
    /// The largest message that a call may send, in bytes. A larger one fails the call with `RESOURCE_EXHAUSTED`.
    /// `nil`, the default of the core too, sets no limit.
    public var maxSendSize: Int?
    /// The size of all metadata that the server may send at once, initial or trailing, in bytes as HTTP/2 counts them:
    /// 32 for each entry beside its key and value. A call with more fails with `RESOURCE_EXHAUSTED`. The default, 16
    /// KiB, is also the core's.
    public var maxMetadataSize = 16 << 10
    /// The time between the first two attempts to connect. It grows from there, with jitter.
    public var initialBackoff: Duration = .milliseconds(100)
    /// The longest time between two attempts to connect.
    public var maxBackoff: Duration = .seconds(2)
    /// How long one attempt to connect may take, including its TLS handshake.
    public var connectTimeout: Duration = .seconds(10)
    /// Detects a silent server. `nil`, the default, sends no pings: a server of another library closes connections that
    /// ping more often than every five minutes.
    public var keepalive: Keepalive?
    /// How many bytes a stream may buffer that nobody reads. `nil` leaves it to the core, which buffers 4 MiB and more.
    public var streamWindow: Int?
    /// How the server may compress responses. If this allows none, requests are not compressed either, whatever their
    /// options say, and each call costs less CPU.
    public var acceptedCompression: Set<CompressionAlgorithm> = [.none, .deflate, .gzip]
    /// How requests are compressed, unless ``CallOptions/compression`` says otherwise.
    public var compression = CompressionAlgorithm.none
    /// The name that the server's certificate must have, if that is not the target's host.
    public var tlsServerName: String?
    /// The connection is closed after this long without a call, until the next call. At least 1 s; `nil` for never.
    public var idleTimeout: Duration?
    /// Limits the memory of the channel's connections, together with all others that share the quota.
    public var resourceQuota: ResourceQuota?
    /// Whether to connect through the HTTP proxy that the environment names (`grpc_proxy`, `https_proxy`, `http_proxy`;
    /// exceptions in `no_grpc_proxy`, `no_proxy`).
    public var usesProxy = false
    /// Precedes the core's own name in the `user-agent` header.
    public var userAgent: String?
    /// The service's name in the `:authority` of the calls, if that is not the target's host, with a port if it needs
    /// one. ``CallOptions/authority`` sets it for one call.
    public var authority: String?
    /// How calls are spread over the addresses of the target, by the name of one of the core's policies:
    /// `pick_first`, the default, uses the first address that can be reached; `round_robin` uses all of them in turn.
    /// A policy in ``serviceConfig`` is used instead. An unknown name is logged and means `pick_first`.
    public var loadBalancingPolicy: String?
    /// Retries, timeouts and load balancing for each method, in JSON: a
    /// [service config](https://github.com/grpc/grpc/blob/master/doc/service_config.md). `nil` for none. The calls of
    /// a channel with a service config that is malformed fail.
    ///
    /// A service config of the name resolver would be used instead. DNS is not asked for one.
    ///
    /// Set timeouts with ``CallOptions/timeout`` rather than here: the core ends a timeout of a service config one to
    /// two seconds too early ([grpc/grpc#34547](https://github.com/grpc/grpc/issues/34547)), and the server does not
    /// learn it.
    public var serviceConfig: String?
    /// Whether failed calls are retried as ``serviceConfig`` says. If not, the core also does not retry a call that
    /// provably has not reached the server.
    public var retries = true
    /// Arguments for the core by their names, such as `grpc.dns_ares_query_timeout`: those of
    /// [grpc_types.h](https://grpc.github.io/grpc/core/group__grpc__arg__keys.html), and others that the core knows.
    /// They replace what the options above set. The core ignores names that it does not know. Names and meanings may
    /// change with the core's version.
    public var coreArguments: [String: CoreArgument] = [:]

    /// The defaults.
    public init() {}

    /// Whether anything can be compressed, either way.
    var compresses: Bool { !acceptedCompression.isSubset(of: [.none]) }

    var arguments: CoreArguments {
        var arguments = CoreArguments()
        arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, maxReceiveMessageSize)
        if let maxSendSize { arguments.set(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, maxSendSize) }
        arguments.set(GRPC_ARG_MAX_METADATA_SIZE, maxMetadataSize)
        arguments.setMilliseconds(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, initialBackoff)
        // Despite its name, it limits the duration of an attempt, not the time between two.
        arguments.setMilliseconds(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, connectTimeout)
        arguments.setMilliseconds(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, maxBackoff)
        // A name may not resolve yet when containers start together. The core's default asks again only after 30 s.
        arguments.setMilliseconds(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, initialBackoff)
        // Otherwise channels to one target share a connection, and thereby its options.
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
        if let authority { arguments.set(GRPC_ARG_DEFAULT_AUTHORITY, authority) }
        if let loadBalancingPolicy { arguments.set(GRPC_ARG_LB_POLICY_NAME, loadBalancingPolicy) }
        if let serviceConfig { arguments.set(GRPC_ARG_SERVICE_CONFIG, serviceConfig) }
        arguments.set(GRPC_ARG_ENABLE_RETRIES, retries)
        arguments.set(coreArguments)
        return arguments
    }
}
