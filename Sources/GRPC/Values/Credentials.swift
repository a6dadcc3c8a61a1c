internal import CGRPC

/// What a server shows its clients and wants to be shown. Thread-safe.
public struct ServerCredentials: Sendable {
    private let make: @Sendable () -> OpaquePointer?

    /// No encryption, no authentication.
    public static let insecure = ServerCredentials { grpc_insecure_server_credentials_create() }

    /// Passes a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let handle = make()
        defer { grpc_server_credentials_release(handle) }
        return body(handle)
    }
}

/// What a client shows its server and wants to be shown. Thread-safe.
public struct ChannelCredentials: Sendable {
    private let make: @Sendable () -> OpaquePointer?

    /// No encryption, no authentication.
    public static let insecure = ChannelCredentials { grpc_insecure_credentials_create() }

    /// Passes a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let handle = make()
        defer { grpc_channel_credentials_release(handle) }
        return body(handle)
    }
}
