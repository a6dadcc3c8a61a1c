internal import CGRPC

/// Options of one call of a client.
///
/// ```swift
/// var options = CallOptions(metadata: ["locale": "fr"], timeout: .seconds(2))
/// options.waitForReady = true
/// print(try await channel.unary(Greeter.greet, "Ann", options: options))
/// ```
public struct CallOptions: Sendable {
    /// The initial metadata of the call.
    public var metadata: Metadata
    /// The call fails with `DEADLINE_EXCEEDED` after this long; `nil` for never. The server receives the deadline.
    public var timeout: Duration?
    /// Whether the call waits for a connection until its deadline, instead of failing with `UNAVAILABLE`.
    public var waitForReady: Bool
    /// How the call's requests are compressed; `nil` for ``ChannelOptions/compression``.
    public var compression: CompressionAlgorithm?
    /// The service's name in the `:authority` of the call; `nil` for ``ChannelOptions/authority``. With TLS the
    /// server's certificate must be for this name, or the call fails with `UNAUTHENTICATED`.
    public var authority: String?
    /// What identifies the caller, beside the credentials of the channel.
    public var credentials: CallCredentials?
    /// The call of a server that this call is made for. This call never outlives it: it has the same deadline, unless
    /// ``timeout`` ends earlier, and it is cancelled when that call is cancelled or has ended.
    ///
    /// Cancelling a handler's task cancels the calls that it waits for anyway. This also reaches calls in tasks of
    /// their own and with callbacks.
    public var propagating: ServerContext?

    /// Options of a call. All have defaults.
    public init(
        metadata: Metadata = [:],
        timeout: Duration? = nil,
        waitForReady: Bool = false,
        compression: CompressionAlgorithm? = nil,
        authority: String? = nil,
        credentials: CallCredentials? = nil,
        propagating: ServerContext? = nil
    ) {
        self.metadata = metadata
        self.timeout = timeout
        self.waitForReady = waitForReady
        self.compression = compression
        self.authority = authority
        self.credentials = credentials
        self.propagating = propagating
    }
}

extension CallOptions {
    /// Creates the core's call. Its operations complete on `queue`, which must be open.
    func makeCoreCall(of path: String, on channel: Channel, queue: OpaquePointer) -> OpaquePointer {
        // The core retains both slices.
        let path = grpc_slice(copying: path.utf8)
        defer { grpc_slice_unref(path) }
        let parent = propagating?.call.storage.pointee.call
        let mask = parent == nil ? 0 : cgrpc_propagate_all
        let deadline = Deadline.after(timeout)
        let call: OpaquePointer
        if let authority {
            var host = grpc_slice(copying: authority.utf8)
            defer { grpc_slice_unref(host) }
            call = grpc_channel_create_call(channel.handle, parent, mask, queue, path, &host, deadline, nil)
        } else {
            call = grpc_channel_create_call(channel.handle, parent, mask, queue, path, nil, deadline, nil)
        }
        credentials?.add(to: call)
        return call
    }
}
