import LibGRPC
import Logging
import Messenger

/// The server's certificate and key, and the authorities of its clients, from files. Thread-safe.
struct ServerCertificates: Sendable {
    private let settings: ServerSettings
    private let identity: ReplaceableTLSIdentity

    /// Reads the files; `nil` without a certificate.
    init?(_ settings: ServerSettings) throws(StartError) {
        guard let (identity, clients) = try Self.read(settings) else { return nil }
        self.settings = settings
        self.identity = ReplaceableTLSIdentity(identity, clientAuthorities: clients)
    }

    var credentials: ServerCredentials { .tls(identity) }

    /// Reads the files again. New connections use them. If one is bad, nothing changes.
    func reread(_ logger: Logger) {
        do throws(StartError) {
            guard let (identity, clients) = try Self.read(settings) else { return }
            self.identity.replace(with: identity, clientAuthorities: clients)
            logger.info("certificates reread", metadata: ["setting": "MESSENGER_TLS_CERT"])
        } catch {
            logger.error("certificates not reread, the old ones stay", metadata: ["reason": "\(error)"])
        }
    }

    private static func read(_ settings: ServerSettings) throws(StartError) -> (TLSIdentity, clients: PEM?)? {
        guard let identity = try settings.shared.tlsIdentity() else {
            guard settings.tlsClientAuthorities == .none else {
                throw StartError(
                    .badConfiguration,
                    "MESSENGER_TLS_CLIENT_CA needs MESSENGER_TLS_CERT and MESSENGER_TLS_KEY"
                )
            }
            return nil
        }
        guard let path = settings.tlsClientAuthorities.path else { return (identity, nil) }
        return (identity, try PEM(certificatesIn: path, setting: "MESSENGER_TLS_CLIENT_CA"))
    }
}
