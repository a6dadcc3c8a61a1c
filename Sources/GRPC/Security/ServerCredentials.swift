internal import CGRPC

/// What a server shows its clients and wants to be shown. Thread-safe.
public struct ServerCredentials: Sendable {
    /// What a server wants of its clients' certificates.
    public enum ClientCertificates: Sendable, Hashable {
        /// Clients need none.
        case notRequested
        /// Mutual TLS: a client without a certificate that one of these authorities signed is refused.
        case required(trusting: PEM)
    }

    let isInsecure: Bool
    private let make: @Sendable () -> OpaquePointer?

    /// No encryption, no authentication.
    public static let insecure = ServerCredentials(isInsecure: true) { grpc_insecure_server_credentials_create() }

    /// TLS 1.2 or later.
    public static func tls(
        _ identity: TLSIdentity,
        clientCertificates: ClientCertificates = .notRequested
    ) -> ServerCredentials {
        ServerCredentials(isInsecure: false) {
            let (request, authorities) = clientCertificates.coreValue
            let config = identity.withCorePair { grpc_ssl_server_certificate_config_create(authorities, $0, 1) }
            // The options take the configuration, and the credentials take the options.
            let options = grpc_ssl_server_credentials_create_options_using_config(request, config)
            return grpc_ssl_server_credentials_create_with_options(options)
        }
    }

    /// Passes a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let handle = make()
        defer { grpc_server_credentials_release(handle) }
        return body(handle)
    }
}

extension ServerCredentials.ClientCertificates {
    fileprivate var coreValue: (grpc_ssl_client_certificate_request_type, authorities: String?) {
        switch self {
        case .notRequested: (GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE, nil)
        case .required(let authorities): (GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, authorities.text)
        }
    }
}
