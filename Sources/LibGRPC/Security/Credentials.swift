internal import CGRPC

/// How a client authenticates itself, and which servers it trusts. Thread-safe.
///
/// ```swift
/// let authorities = try PEM(contentsOfFile: "/etc/tls/authorities.pem")
/// let channel = Channel(target: "greeter.example:443", credentials: .tls(trusting: authorities), group: group)
/// ```
public struct ChannelCredentials: Sendable {
    private let make: @Sendable () -> OpaquePointer?

    /// - Parameter make: Creates the core's credentials, which the caller releases.
    init(_ make: @escaping @Sendable () -> OpaquePointer?) {
        self.make = make
    }

    /// No encryption, no authentication.
    public static let insecure = ChannelCredentials { grpc_insecure_credentials_create() }

    /// TLS 1.2 or later. The server's certificate must be for the target's host; see ``ChannelOptions/tlsServerName``.
    ///
    /// - Parameters:
    ///   - authorities: The authorities to trust; `nil` for the system's.
    ///   - identity: What the client shows to a server that asks for a certificate.
    public static func tls(trusting authorities: PEM? = nil, identity: TLSIdentity? = nil) -> ChannelCredentials {
        ChannelCredentials {
            guard let identity else { return grpc_ssl_credentials_create_ex(authorities?.text, nil, nil, nil) }
            return identity.withCorePair { grpc_ssl_credentials_create_ex(authorities?.text, $0, nil, nil) }
        }
    }

    /// Credentials of the channel, and with each call also those of its caller.
    public static func composite(_ channel: ChannelCredentials, _ calls: CallCredentials) -> ChannelCredentials {
        ChannelCredentials {
            channel.withHandle { channel in
                calls.withHandle { grpc_composite_channel_credentials_create(channel, $0, nil) }
            }
        }
    }

    /// Calls `body` with a handle that lives during the call only.
    func withHandle<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let handle = make()
        defer { grpc_channel_credentials_release(handle) }
        return body(handle)
    }
}

/// How a server authenticates itself, and which clients it trusts. Thread-safe.
///
/// ```swift
/// let identity = TLSIdentity(
///     certificateChain: try PEM(contentsOfFile: "/etc/tls/tls.crt"),
///     privateKey: try PEM(contentsOfFile: "/etc/tls/tls.key")
/// )
/// let address = ListenAddress("*:443", credentials: .tls(identity))
/// ```
public struct ServerCredentials: Sendable {
    /// Whether clients need a certificate.
    public enum ClientCertificates: Sendable, Hashable {
        /// Clients need none.
        case notRequested
        /// Mutual TLS: the server refuses a client without a certificate that one of these authorities has signed.
        case required(trusting: PEM)
    }

    let isInsecure: Bool
    private let make: @Sendable () -> OpaquePointer?

    /// - Parameter make: Creates the core's credentials, which the caller releases.
    init(isInsecure: Bool, _ make: @escaping @Sendable () -> OpaquePointer?) {
        self.isInsecure = isInsecure
        self.make = make
    }

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
            // The options own the configuration, and the credentials own the options.
            let options = grpc_ssl_server_credentials_create_options_using_config(request, config)
            return grpc_ssl_server_credentials_create_with_options(options)
        }
    }

    /// Calls `body` with a handle that lives during the call only.
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

/// What one side of a TLS connection shows the other: a certificate, and its private key as the proof.
public struct TLSIdentity: Sendable, Hashable {
    /// The certificate, followed by those of the intermediate authorities that signed it.
    public var certificateChain: PEM
    /// The private key of the first certificate, without a password.
    public var privateKey: PEM

    /// Checks nothing: whether the two fit together shows when a server starts or a channel connects.
    public init(certificateChain: PEM, privateKey: PEM) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
    }

    /// Calls `body` with the core's form, which must not outlive the call.
    func withCorePair<Result>(
        _ body: (UnsafeMutablePointer<grpc_ssl_pem_key_cert_pair>) -> Result
    ) -> Result {
        privateKey.text.withCString { key in
            certificateChain.text.withCString { chain in
                var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
                return body(&pair)
            }
        }
    }
}
