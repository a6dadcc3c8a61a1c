import ArgumentParser
import GRPC
import Logging
import Messenger

/// The server's flags, each of which falls back to an environment variable and then to a default.
struct ServerFlags: ParsableArguments {
    @Option(.serverHost) var host: ListenHost?
    @Option(.serverPort) var port: Port?
    @Option(.logLevel) var logLevel: Logger.Level?
    @Option(.maxAuthorBytes) var maxAuthorBytes: ByteCount?
    @Option(.maxTextBytes) var maxTextBytes: ByteCount?
    @Option(.historyMessages) var historyMessages: Count?
    @Option(.historyBytes) var historyBytes: ByteCount?
    @Option(.connectionBytes) var connectionBytes: ByteCount?
    @Option(.maxConnections) var maxConnections: Count?
    @Option(.maxStreams) var maxStreams: Count?
    @Option(.maxCalls) var maxCalls: Count?
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
            host: try Setting.serverHost.value(flag: host, environment: environment),
            port: try Setting.serverPort.value(flag: port, environment: environment),
            logLevel: try Setting.logLevel.value(flag: logLevel, environment: environment),
            messageLimits: MessageLimits(
                authorBytes: try Setting.maxAuthorBytes.value(flag: maxAuthorBytes, environment: environment).bytes,
                textBytes: try Setting.maxTextBytes.value(flag: maxTextBytes, environment: environment).bytes
            ),
            historyMessages: try Setting.historyMessages.value(flag: historyMessages, environment: environment),
            historyBytes: try Setting.historyBytes.value(flag: historyBytes, environment: environment),
            history: try history.settings(environment: environment),
            connectionBytes: try Setting.connectionBytes.value(flag: connectionBytes, environment: environment),
            maxConnections: try Setting.maxConnections.value(flag: maxConnections, environment: environment),
            maxStreams: try Setting.maxStreams.value(flag: maxStreams, environment: environment),
            maxCalls: try Setting.maxCalls.value(flag: maxCalls, environment: environment),
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
