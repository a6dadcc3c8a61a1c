internal import Synchronization

/// What a handler can learn about its call, and send to the client besides messages. Thread-safe.
///
/// A call counts as open as long as somebody holds its context.
public struct ServerContext: Sendable {
    let call: ServerCall

    /// The method's path, `/service/method`.
    public var path: String { call.path }

    /// The client's address in the core's form, for example `ipv4:127.0.0.1:4242`. Not authenticated.
    public var peer: String { call.peer }

    /// The names in the client's certificate: its subject alternative names, else its common name. Empty without
    /// mutual TLS. Each use makes a copy.
    public var peerIdentities: [String] { call.peerIdentities }

    /// Who calls, as the interceptor knows that admitted the call; `nil` if none did.
    public var caller: (any AnyObject & Sendable)? { call.caller }

    /// The metadata that the client sent with the call. Each use makes a copy.
    public var metadata: Metadata { call.metadata }

    /// The bytes of a key's values, text or binary, without a copy of the other metadata.
    public func metadataValues(_ key: String) -> [[UInt8]] { call.metadataValues(key) }

    /// Ends the call with this error's status while its handler works, for example because its caller has lost a right.
    /// The handler sees the call cancelled. The error's metadata is not sent. Does nothing if the call has ended.
    public func end(with error: RPCError) {
        let error = RPCError(ofHandler: error)
        call.end(with: Status(code: error.code, message: error.message))
    }

    /// The time until the client's deadline: `nil` without a deadline, negative after it. At the deadline the
    /// handler's task is cancelled.
    public var timeRemaining: Duration? { call.timeRemaining }

    /// Sends initial metadata now, before the first message. Without this call, the first message brings empty initial
    /// metadata.
    ///
    /// - Throws: `INVALID_ARGUMENT` for metadata that gRPC does not allow, `INTERNAL` if initial metadata or a message
    ///   has been sent, `CANCELLED` if the call has ended.
    public func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        try await call.sendInitialMetadata(metadata)
    }

    /// Compresses the following responses if the client can decompress them. Call it before initial metadata is sent.
    /// It has no effect unless ``ServerOptions/acceptedCompression`` has an algorithm.
    public func setCompression(_ compression: CompressionAlgorithm) {
        call.setCompression(compression)
    }

    /// Sets the metadata that is sent with the status, replacing earlier ones. An ``RPCError`` adds its own. If gRPC
    /// does not allow an entry, none is sent: the status matters more.
    ///
    /// Keep it small. Clients limit the metadata that they accept, by default to 8 KiB in most libraries, counted with
    /// 32 bytes per entry on top of key and value. The status message takes up to 4 KiB of that; a longer one is cut. If
    /// the limit is exceeded, the client gets `RESOURCE_EXHAUSTED` instead of the status.
    public func setTrailingMetadata(_ metadata: Metadata) {
        call.setTrailingMetadata(metadata)
    }
}
