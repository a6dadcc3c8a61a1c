/// How one call of a client is made.
public struct CallOptions: Sendable {
    /// Sent with the call.
    public var metadata: Metadata
    /// The call fails with `DEADLINE_EXCEEDED` after this long; `nil` for never. The server is told.
    public var timeout: Duration?
    /// Whether the call waits for a connection, until its deadline, where it would otherwise fail with `UNAVAILABLE`.
    public var waitForReady: Bool

    /// How the requests are compressed; `nil` as the channel does it.
    public var compression: CompressionAlgorithm?

    /// Options that differ from the defaults where they are given.
    public init(
        metadata: Metadata = [:],
        timeout: Duration? = nil,
        waitForReady: Bool = false,
        compression: CompressionAlgorithm? = nil
    ) {
        self.metadata = metadata
        self.timeout = timeout
        self.waitForReady = waitForReady
        self.compression = compression
    }
}
