internal import CGRPC

/// What a client shows its server and wants to be shown. Thread-safe.
public struct ChannelCredentials: Sendable {
    private let make: @Sendable () -> OpaquePointer?

    /// No encryption, no authentication.
    public static let insecure = ChannelCredentials { grpc_insecure_credentials_create() }

    /// TLS 1.2 or later. The server's certificate must be for the target's host; see ``ChannelOptions/tlsServerName``.
    ///
    /// - Parameters:
    ///   - authorities: Whose signatures are trusted; `nil` for the system's authorities.
    ///   - identity: What is shown to a server that asks for it.
    public static func tls(trusting authorities: PEM? = nil, identity: TLSIdentity? = nil) -> ChannelCredentials {
        ChannelCredentials {
            guard let identity else { return grpc_ssl_credentials_create_ex(authorities?.text, nil, nil, nil) }
            return identity.withCorePair { grpc_ssl_credentials_create_ex(authorities?.text, $0, nil, nil) }
        }
    }

    /// Passes a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let handle = make()
        defer { grpc_channel_credentials_release(handle) }
        return body(handle)
    }
}
