internal import CGRPC

/// Limits and timeouts of a server. The defaults suit a service that is open to strangers.
public struct ServerOptions: Sendable {
    /// The largest message that a client may send, in bytes. A larger one gets `RESOURCE_EXHAUSTED`.
    public var maxReceiveMessageSize = 4 << 20
    /// The compression that requests may use. A call with any other compression fails with `UNIMPLEMENTED`. With
    /// `none`, the default, responses are not compressed either.
    ///
    /// The core decompresses a message before its full size is known. So a few kilobytes can become gigabytes: allow
    /// algorithms only to clients that you trust.
    public var acceptedCompression: Set<CompressionAlgorithm> = [.none]
    /// The most connections at the same time, on all addresses. Further ones wait to be accepted. See
    /// ``possibleConnections``.
    public var maxConnections = 10_000
    /// The most open calls per connection. A client delays further ones. Calls that the client has reset also count
    /// until they are freed: the server closes a connection with more than twice as many.
    public var maxConcurrentStreamsPerConnection = 1000
    /// The most open calls on all connections, counted from their headers. Further ones get `RESOURCE_EXHAUSTED`.
    public var maxConcurrentCalls = 20_000
    /// The most metadata per call, in bytes as HTTP/2 counts them: keys and values, and 32 for each entry. A call with
    /// more gets `RESOURCE_EXHAUSTED`.
    public var maxMetadataSize = 16 << 10
    /// How long a call's first message may take after the call's headers. A call without one gets `DEADLINE_EXCEEDED`,
    /// up to a quarter later. `nil` for no limit.
    public var firstMessageTimeout: Duration? = .seconds(30)
    /// How long a TLS handshake may take.
    public var handshakeTimeout = Duration.seconds(20)
    /// Detects clients that are gone; `nil` for no pings.
    public var keepalive: Keepalive? = .default
    /// Asks the client to replace a connection of this age, with up to 10 % of jitter; `nil` for never. It spreads
    /// clients over servers that were added.
    public var maxConnectionAge: Duration?
    /// How long the calls of such a connection may continue; `nil` for no limit.
    public var maxConnectionAgeGrace: Duration?
    /// Closes a connection that has had no call for this long; `nil` for never.
    public var maxConnectionIdle: Duration?
    /// Limits the memory of the connections, together with others that use the same quota.
    public var resourceQuota: ResourceQuota?
    /// Arguments for the core by their names, as ``ChannelOptions/coreArguments``.
    public var coreArguments: [String: CoreArgument] = [:]

    /// The defaults.
    public init() {}

    /// How many connections can be open at the same time: ``maxConnections``, or fewer if the process has few file
    /// descriptors. Connections leave 128 of them free and six per processor, or half of all.
    public var possibleConnections: Int { min(maxConnections, DescriptorLimit.connections) }

    var arguments: CoreArguments {
        var arguments = CoreArguments()
        arguments.set(GRPC_ARG_MAX_CONCURRENT_STREAMS, maxConcurrentStreamsPerConnection)
        // Over its own limit the core closes the connection with all its calls. We refuse the one call, at a lower
        // limit.
        arguments.set(GRPC_ARG_MAX_METADATA_SIZE, min(maxMetadataSize, 1 << 24) * 8)
        arguments.set(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, acceptedCompression.coreValue)
        arguments.set(GRPC_ARG_ENABLE_CHANNELZ, false)
        if acceptedCompression == [.none] {
            // Without compression, calls can skip the core's filters for it.
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, false)
            arguments.set(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, false)
            // The binding checks the size of a message, so calls can skip the core's filter for that too.
            arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, -1)
        } else {
            // Only the core can check the size before it decompresses.
            arguments.set(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, maxReceiveMessageSize)
        }
        arguments.setMilliseconds(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, handshakeTimeout)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_AGE_MS, maxConnectionAge)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, maxConnectionAgeGrace)
        arguments.setMilliseconds(GRPC_ARG_MAX_CONNECTION_IDLE_MS, maxConnectionIdle)
        if let resourceQuota { arguments.set(resourceQuota) }
        keepalive?.add(to: &arguments)
        arguments.set(coreArguments)
        return arguments
    }
}

/// Where a server listens, and with which credentials.
///
/// A string literal is an address without encryption: `"127.0.0.1:50051"`.
public struct ListenAddress: Sendable, ExpressibleByStringInterpolation {
    /// `HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`. Port 0 stands for any free port. `*:PORT` listens on all addresses
    /// of this machine, `0.0.0.0` on all of IPv4, `[::]` on all of IPv6.
    ///
    /// The socket of `unix:PATH` is for programs of the same user (mode 0600). If an ended process left a socket
    /// there, the start replaces it. If another program listens there, the start fails.
    public var address: String
    /// What the server shows to clients at this address, and requires of them.
    public var credentials: ServerCredentials

    /// An address with its credentials.
    public init(_ address: String, credentials: ServerCredentials = .insecure) {
        self.address = address
        self.credentials = credentials
    }

    /// An address without encryption.
    public init(stringLiteral address: String) {
        self.init(address)
    }
}
