/// What a handler can know of its call, and tell the client beside its messages. Thread-safe.
///
/// Whoever keeps it keeps its call, which counts as open until then.
public struct ServerContext: Sendable {
    let call: ServerCall

    /// The method's path, `/service/method`.
    public var path: String { call.registration.method.path }

    /// The client's address in the core's form, `ipv4:127.0.0.1:4242` for example. Not authenticated.
    public var peer: String { call.peer }

    /// Who the client is, by the certificate that it showed: its subject alternative names, or else its common name.
    /// Empty without mutual TLS. Copied at each use.
    public var peerIdentities: [String] { call.peerIdentities }

    /// The metadata that the client sent with the call. Copied at each use.
    public var metadata: Metadata { call.metadata }

    /// How long the client will wait; `nil` if it set no deadline, negative when that has passed. At the deadline the
    /// handler's task is cancelled.
    public var timeRemaining: Duration? { call.timeRemaining }

    /// Sends initial metadata now, before the first message. Left alone, empty metadata goes with the first message.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `INTERNAL` if initial metadata or a message
    ///   has been sent, `CANCELLED` if the client is gone.
    public func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        try await call.sendInitialMetadata(metadata)
    }

    /// Compresses the responses that follow, if the client can decompress them. Before initial metadata is sent. Without
    /// effect unless ``ServerOptions/acceptedCompression`` has an algorithm.
    public func setCompression(_ compression: CompressionAlgorithm) {
        call.setCompression(compression)
    }

    /// Sets the metadata that will go with the status, in place of what was set before. An ``RPCError`` adds its own. If any
    /// of it is not allowed by gRPC, none is sent: the status matters more.
    public func setTrailingMetadata(_ metadata: Metadata) {
        call.setTrailingMetadata(metadata)
    }
}
