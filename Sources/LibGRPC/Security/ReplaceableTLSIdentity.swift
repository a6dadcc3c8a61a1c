internal import CGRPC
internal import Synchronization

/// What a server shows to its clients, and which certificates it accepts from them, replaceable while it runs.
///
/// New connections use what was set last; open connections live on. If the core cannot use it, it keeps what it had. To
/// have the core watch files instead, see ``ServerCredentials/tls(watching:clientAuthorities:every:)``. Thread-safe.
///
/// ```swift
/// let key = try PEM(contentsOfFile: "/etc/tls/tls.key")
/// let identity = TLSIdentity(certificateChain: try PEM(contentsOfFile: "/etc/tls/tls.crt"), privateKey: key)
/// let replaceable = ReplaceableTLSIdentity(identity)
/// let address = ListenAddress("*:443", credentials: .tls(replaceable))
/// replaceable.replace(with: identity)
/// ```
public final class ReplaceableTLSIdentity: Sendable {
    fileprivate struct Content {
        var identity: TLSIdentity
        var clientAuthorities: PEM?
        /// Grows with each replacement.
        var version = 1
    }

    private let content: Mutex<Content>
    fileprivate let asksClients: Bool

    /// - Parameters:
    ///   - identity: What the server shows to clients.
    ///   - clientAuthorities: For mutual TLS: the server refuses a client without a certificate that one of them has
    ///     signed. `nil` for no certificates of clients.
    public init(_ identity: TLSIdentity, clientAuthorities: PEM? = nil) {
        content = Mutex(Content(identity: identity, clientAuthorities: clientAuthorities))
        asksClients = clientAuthorities != nil
    }

    /// Sets what connections use from now on. Check it before: the core only logs what it cannot use.
    /// - Parameters:
    ///   - identity: The certificate chain and its key.
    ///   - clientAuthorities: `nil` to keep those that are set. A server that has asked for no certificates does not
    ///     begin to.
    public func replace(with identity: TLSIdentity, clientAuthorities: PEM? = nil) {
        content.withLock { content in
            content.identity = identity
            if let clientAuthorities { content.clientAuthorities = clientAuthorities }
            content.version += 1
        }
    }

    fileprivate var current: Content { content.withLock(\.self) }
}

extension ServerCredentials {
    /// TLS 1.2 or later, with an identity that can be replaced.
    public static func tls(_ identity: ReplaceableTLSIdentity) -> ServerCredentials {
        ServerCredentials(isInsecure: false) {
            let fetcher = Fetcher(identity)
            let request =
                identity.asksClients
                ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
            let options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
                request,
                { fetcher, result in
                    guard let fetcher, let result else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL }
                    return Unmanaged<Fetcher>.fromOpaque(fetcher).takeUnretainedValue().fetch(&result.pointee)
                },
                fetcher.pointer
            )
            return grpc_ssl_server_credentials_create_with_options(options)
        }
    }
}

/// Gives the core a server's certificate at each handshake, if it is new.
private final class Fetcher: Sendable {
    private let identity: ReplaceableTLSIdentity
    /// What the core has.
    private let givenVersion = Atomic(0)
    /// For ever: the core does not say when it asks no longer. There are a few of them in a process.
    private static let all = Mutex<[Fetcher]>([])

    init(_ identity: ReplaceableTLSIdentity) {
        self.identity = identity
        Self.all.withLock { $0.append(self) }
    }

    var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    func fetch(_ result: inout OpaquePointer?) -> grpc_ssl_certificate_config_reload_status {
        let content = identity.current
        guard givenVersion.exchange(content.version, ordering: .relaxed) != content.version else {
            return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED
        }
        // The core aborts without authorities. It uses them only if it asks clients for certificates.
        let authorities = content.clientAuthorities ?? content.identity.certificateChain
        result = content.identity.withCorePair { grpc_ssl_server_certificate_config_create(authorities.text, $0, 1) }
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
    }
}
