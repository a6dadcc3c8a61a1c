internal import CGRPC

/// How a server behaves. The defaults suit a service that strangers can reach.
public struct ServerOptions: Sendable {
    /// The largest message that a client may send, in bytes; a larger one gets `RESOURCE_EXHAUSTED`.
    public var maxReceiveMessageSize = 4 << 20
    /// How requests may be compressed. A call with any other compression fails with `UNIMPLEMENTED`. The core expands a
    /// message before its full size is known, so allow algorithms only to clients that you trust not to send a few
    /// kilobytes that become gigabytes. With none, as by default, responses are not compressed either.
    public var acceptedCompression: Set<CompressionAlgorithm> = [.none]
    /// Connections open at the same time at all addresses; further ones wait to be accepted. See ``possibleConnections``.
    public var maxConnections = 10_000
    /// Calls open at the same time on one connection; a client waits with further ones. Calls that the client has reset
    /// and that are not cleared away yet count too: a connection with more than twice as many is ended.
    public var maxConcurrentStreamsPerConnection = 1000
    /// Calls open at the same time on all connections, from their headers on; further ones get `RESOURCE_EXHAUSTED`.
    public var maxConcurrentCalls = 20_000
    /// The size of all metadata that a client may send with a call, in bytes, as HTTP/2 counts it: 32 for each entry beside
    /// its key and value. A call with more gets `RESOURCE_EXHAUSTED`.
    public var maxMetadataSize = 16 << 10
    /// How long a call's first message may take, from the call's headers on; a call without one gets `DEADLINE_EXCEEDED`.
    /// Up to a quarter more may pass. `nil` for as long as it likes.
    public var firstMessageTimeout: Duration? = .seconds(30)
    /// How long a client may take for the handshake of a connection with TLS.
    public var handshakeTimeout = Duration.seconds(20)
    /// Finds silent clients; `nil` for none.
    public var keepalive: Keepalive? = .default
    /// A connection of this age is asked to end: the client makes a new one for its further calls, which spreads clients
    /// over servers that were added. With up to 10 % of jitter; `nil` for never.
    public var maxConnectionAge: Duration?
    /// How long the calls of a connection that has reached its age may go on; `nil` for as long as they like.
    public var maxConnectionAgeGrace: Duration?
    /// A connection without a call for this long is closed; `nil` for never.
    public var maxConnectionIdle: Duration?
    /// Bounds the memory that the connections take, with that of others that share it.
    public var resourceQuota: ResourceQuota?

    /// The defaults.
    public init() {}

    /// How many connections can be open at the same time: ``maxConnections``, or fewer, so that they leave some of the
    /// process's file descriptors for everything else: 128 and six for each processor, or half of them.
    public var possibleConnections: Int { min(maxConnections, DescriptorLimit.connections) }

    var arguments: CoreArguments {
        var arguments = CoreArguments()
        arguments.set(GRPC_ARG_MAX_CONCURRENT_STREAMS, maxConcurrentStreamsPerConnection)
        // The core ends the connection over its limit, and all calls on it. We refuse the one call, long before.
        arguments.set(GRPC_ARG_MAX_METADATA_SIZE, min(maxMetadataSize, 1 << 24) * 8)
        arguments.set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, acceptedCompression.coreValue)
        arguments.set(GRPC_ARG_ENABLE_CHANNELZ, false)
        if acceptedCompression == [.none] {
            // Nothing can be compressed then, either way: calls do not pass through what would do it.
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, false)
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, false)
            // A message is all there when its size is checked, here or there: calls need not pass through that either.
            arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1)
        } else {
            // To be checked before a message is expanded.
            arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, maxReceiveMessageSize)
        }
        arguments.setMilliseconds(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, handshakeTimeout)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_AGE_MS, maxConnectionAge)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, maxConnectionAgeGrace)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_IDLE_MS, maxConnectionIdle)
        if let resourceQuota { arguments.set(resourceQuota) }
        keepalive?.add(to: &arguments)
        return arguments
    }
}
