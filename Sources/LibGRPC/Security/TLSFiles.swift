internal import CGRPC

/// The files of a ``TLSIdentity``, which are read again while they are used, so that a certificate can be replaced
/// without a restart.
///
/// ```swift
/// let files = TLSIdentityFiles(certificateChain: "/etc/tls/tls.crt", privateKey: "/etc/tls/tls.key")
/// let server = try ServerCredentials.tls(watching: files, every: .seconds(10))
/// let client = try ChannelCredentials.tls(watching: files, authorities: "/etc/tls/authorities.pem")
/// ```
public struct TLSIdentityFiles: Sendable, Hashable {
    /// A file with the certificate, followed by those of the intermediate authorities that signed it.
    public var certificateChain: String
    /// A file with the private key of the first certificate, without a password.
    public var privateKey: String

    /// Paths of two PEM files. Nothing is read yet.
    public init(certificateChain: String, privateKey: String) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
    }
}

extension ServerCredentials {
    /// TLS 1.2 or later with certificates in files. A thread of the core reads the files again and again. New
    /// connections use what they contain then; open connections live on.
    ///
    /// Write the new files beside the old ones and rename them, so that no half of one is ever read. If a new
    /// certificate and its key do not match, connections fail until a later reading finds a pair that does;
    /// ``CoreLog`` has the reason.
    /// - Parameters:
    ///   - identity: What the server shows to clients.
    ///   - clientAuthorities: A file with authorities for mutual TLS: the server refuses a client without a certificate
    ///     that one of them has signed. `nil` for no certificates of clients.
    ///   - interval: The time between two readings, in whole seconds and at least 1 s.
    /// - Throws: ``SystemError`` if a file cannot be read now. That its content is good shows when a client connects.
    public static func tls(
        watching identity: TLSIdentityFiles,
        clientAuthorities: String? = nil,
        every interval: Duration = .seconds(60)
    ) throws(SystemError) -> ServerCredentials {
        let provider = try CertificateProvider(identity, authorities: clientAuthorities, interval)
        return ServerCredentials(isInsecure: false) {
            let options = provider.makeOptions()
            let request =
                clientAuthorities == nil
                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            grpc_tls_credentials_options_set_cert_request_type(options, request)
            return grpc_tls_server_credentials_create(options)
        }
    }
}

extension ChannelCredentials {
    /// TLS 1.2 or later with certificates in files, which a thread of the core reads again and again. New connections
    /// use what they contain then; open connections live on. See
    /// ``ServerCredentials/tls(watching:clientAuthorities:every:)`` for how to replace them.
    ///
    /// - Parameters:
    ///   - identity: What the client shows to a server that asks for a certificate.
    ///   - authorities: A file with the authorities to trust; `nil` for the system's.
    ///   - interval: The time between two readings, in whole seconds and at least 1 s.
    /// - Throws: ``SystemError`` if a file cannot be read now.
    public static func tls(
        watching identity: TLSIdentityFiles?,
        authorities: String?,
        every interval: Duration = .seconds(60)
    ) throws(SystemError) -> ChannelCredentials {
        // The core watches something, or nothing at all.
        guard identity != nil || authorities != nil else { return .tls() }
        let provider = try CertificateProvider(identity, authorities: authorities, interval)
        return ChannelCredentials { grpc_tls_credentials_create(provider.makeOptions()) }
    }
}

/// Owns the core's watcher of files.
///
/// `@unchecked`: the core's provider is thread-safe and counts its references.
private final class CertificateProvider: @unchecked Sendable {
    private let handle: OpaquePointer
    private let hasIdentity: Bool
    private let hasAuthorities: Bool

    init(_ identity: TLSIdentityFiles?, authorities: String?, _ interval: Duration) throws(SystemError) {
        // The core only logs what it cannot read.
        for file in [identity?.certificateChain, identity?.privateKey, authorities] {
            if let file { _ = try PEM(contentsOfFile: file) }
        }
        Library.initialize()
        hasIdentity = identity != nil
        hasAuthorities = authorities != nil
        // Never NULL: the core aborts if it cannot allocate.
        handle = grpc_tls_certificate_provider_file_watcher_create(
            identity?.privateKey,
            identity?.certificateChain,
            authorities,
            UInt32(min(max(interval.components.seconds, 1), Int64(Int32.max)))
        )
    }

    deinit {
        grpc_tls_certificate_provider_release(handle)
    }

    /// Options for credentials, which own them.
    func makeOptions() -> OpaquePointer {
        let options: OpaquePointer = grpc_tls_credentials_options_create()
        grpc_tls_credentials_options_set_certificate_provider(options, handle)
        if hasIdentity { grpc_tls_credentials_options_watch_identity_key_cert_pairs(options) }
        if hasAuthorities { grpc_tls_credentials_options_watch_root_certs(options) }
        return options
    }
}
