import ArgumentParser
import GRPC
import Logging
import Messenger

/// What the server can be told, each by a flag or an environment variable.
struct ServerSettings: Sendable {
    var port: Port = 51075
    var logLevel = Logger.Level.info
    var messageLimits = MessageLimits()
    /// Most messages held for readers that come back.
    var historyMessages: Count = 1_000_000
    /// Most memory for them.
    var historyBytes = ByteCount.mebibytes(256)
    /// Where more is held than in memory.
    var history = HistorySettings()
    /// What is shown to clients at the port; insecure without a certificate.
    var credentials = ServerCredentials.insecure
    /// What ``credentials`` is, for the log.
    var encryption = Encryption.none
    /// A unix socket to listen on too, without encryption.
    var socket = FilePath.none

    enum Encryption: String {
        case none
        case tls = "TLS"
        case mutualTLS = "mutual TLS"
    }
}

/// The server's flags, each of which falls back to an environment variable and then to a default.
struct ServerFlags: ParsableArguments {
    @Option(.serverPort) var port: Port?
    @Option(.logLevel) var logLevel: Logger.Level?
    @Option(.maxAuthorBytes) var maxAuthorBytes: ByteCount?
    @Option(.maxTextBytes) var maxTextBytes: ByteCount?
    @Option(.historyMessages) var historyMessages: Count?
    @Option(.historyBytes) var historyBytes: ByteCount?
    @OptionGroup var history: HistoryFlags
    @Option(.tlsCertificate) var tlsCertificate: FilePath?
    @Option(.tlsKey) var tlsKey: FilePath?
    @Option(.tlsClientAuthorities) var tlsClientAuthorities: FilePath?
    @Option(.serverSocket) var serverSocket: FilePath?

    /// Completes the flags from the environment and the defaults.
    ///
    /// - Throws: ``StartError`` that names the first variable whose value is not allowed.
    func settings(environment: ProcessEnvironment = .current) throws(StartError) -> ServerSettings {
        let (credentials, encryption) = try credentials(environment)
        return ServerSettings(
            port: try Setting.serverPort.value(flag: port, environment: environment),
            logLevel: try Setting.logLevel.value(flag: logLevel, environment: environment),
            messageLimits: MessageLimits(
                authorBytes: try Setting.maxAuthorBytes.value(flag: maxAuthorBytes, environment: environment).bytes,
                textBytes: try Setting.maxTextBytes.value(flag: maxTextBytes, environment: environment).bytes
            ),
            historyMessages: try Setting.historyMessages.value(flag: historyMessages, environment: environment),
            historyBytes: try Setting.historyBytes.value(flag: historyBytes, environment: environment),
            history: try history.settings(environment: environment),
            credentials: credentials,
            encryption: encryption,
            socket: try Setting.serverSocket.value(flag: serverSocket, environment: environment)
        )
    }

    private func credentials(
        _ environment: ProcessEnvironment
    ) throws(StartError) -> (ServerCredentials, ServerSettings.Encryption) {
        let authorities = Setting.tlsClientAuthorities
        let clients = try authorities.value(flag: tlsClientAuthorities, environment: environment)
        let identity = try TLSIdentity(
            certificate: try Setting.tlsCertificate.value(flag: tlsCertificate, environment: environment),
            key: try Setting.tlsKey.value(flag: tlsKey, environment: environment)
        )
        guard let identity else {
            guard clients.path == nil else {
                throw StartError(
                    .badConfiguration,
                    "\(authorities.variable) needs MESSENGER_TLS_CERT and MESSENGER_TLS_KEY"
                )
            }
            return (.insecure, .none)
        }
        guard let clients = clients.path else { return (.tls(identity), .tls) }
        return (
            .tls(identity, clientCertificates: .required(trusting: try authorities.certificates(inFile: clients))),
            .mutualTLS
        )
    }
}

extension Setting where Value == Port {
    static var serverPort: Self {
        Setting("MESSENGER_SERVER_PORT", default: 51075, summary: "Port of the gRPC server; 0 takes any free one.")
    }
}

extension Setting where Value == FilePath {
    static var tlsClientAuthorities: Self {
        Setting(
            "MESSENGER_TLS_CLIENT_CA",
            default: .none,
            summary: "PEM file with the authorities that sign clients' certificates; clients must then show one."
        )
    }

    static var serverSocket: Self {
        Setting(
            "MESSENGER_SERVER_SOCKET",
            default: .none,
            summary: "Path of a unix socket to listen on too, without encryption, for this machine's own programs."
        )
    }
}

extension Setting where Value == Count {
    static var historyMessages: Self {
        Setting(
            "MESSENGER_HISTORY_MESSAGES",
            default: 1_000_000,
            in: 1...1_000_000_000,
            summary: "Most messages that are held for readers that come back."
        )
    }
}

extension Setting where Value == ByteCount {
    static var historyBytes: Self {
        Setting(
            "MESSENGER_HISTORY_BYTES",
            default: .mebibytes(256),
            in: .kibibytes(64) ... .mebibytes(65535),
            summary: "Most memory for the messages that are held."
        )
    }
}
