import ArgumentParser
import GRPC
import Logging
import Messenger

/// The client's flags, each of which falls back to an environment variable and then to a default.
struct ClientOptions: ParsableArguments {
    @Option(.serverAddress) var serverAddress: ServerAddress?
    @Option(.serverProxy) var serverProxy: ServerProxy?
    @Option(.httpHost) var httpHost: ListenHost?
    @Option(.httpPort) var httpPort: Port?
    @Option(.httpAllowedHosts) var httpAllowedHosts: HostNames?
    @Option(.httpConnections) var httpConnections: Count?
    @Option(.httpBytes) var httpBytes: ByteCount?
    @Option(.httpIdleTimeout) var httpIdleTimeout: Duration?
    @Option(.httpRequestTimeout) var httpRequestTimeout: Duration?
    @Option(.logLevel) var logLevel: Logger.Level?
    @Option(.openTimeout) var openTimeout: Duration?
    @Option(.sendTimeout) var sendTimeout: Duration?
    @Option(.bufferBytes) var bufferBytes: ByteCount?
    @Option(.maxAuthorBytes) var maxAuthorBytes: ByteCount?
    @Option(.maxTextBytes) var maxTextBytes: ByteCount?
    @Option(.tlsAuthorities) var tlsAuthorities: TLSAuthorities?
    @Option(.tlsCertificate) var tlsCertificate: FilePath?
    @Option(.tlsKey) var tlsKey: FilePath?

    /// Completes the flags from the environment and the defaults.
    ///
    /// - Throws: ``StartError`` that names the first variable whose value is not allowed.
    func settings(environment: ProcessEnvironment = .current) throws(StartError) -> ClientSettings {
        let authorities = try Setting.tlsAuthorities.value(flag: self.tlsAuthorities, environment: environment)
        return ClientSettings(
            serverAddress: try Setting.serverAddress.value(flag: self.serverAddress, environment: environment),
            serverProxy: try Setting.serverProxy.value(flag: self.serverProxy, environment: environment),
            httpHost: try Setting.httpHost.value(flag: self.httpHost, environment: environment),
            httpPort: try Setting.httpPort.value(flag: self.httpPort, environment: environment),
            httpAllowedHosts: try Setting.httpAllowedHosts.value(flag: self.httpAllowedHosts, environment: environment),
            httpLimits: try self.httpLimits(environment),
            logLevel: try Setting.logLevel.value(flag: self.logLevel, environment: environment),
            openTimeout: try Setting.openTimeout.value(flag: self.openTimeout, environment: environment),
            sendTimeout: try Setting.sendTimeout.value(flag: self.sendTimeout, environment: environment),
            bufferBytes: try Setting.bufferBytes.value(flag: self.bufferBytes, environment: environment),
            messageLimits: MessageLimits(
                authorBytes: try Setting.maxAuthorBytes.value(flag: self.maxAuthorBytes, environment: environment)
                    .bytes,
                textBytes: try Setting.maxTextBytes.value(flag: self.maxTextBytes, environment: environment).bytes
            ),
            tlsAuthorities: authorities,
            credentials: try self.credentials(trusting: authorities, environment)
        )
    }

    private func httpLimits(_ environment: ProcessEnvironment) throws(StartError) -> HTTPLimits {
        var limits = HTTPLimits()
        limits.connections =
            try Setting.httpConnections.value(flag: self.httpConnections, environment: environment).number
        limits.idleTimeout = try Setting.httpIdleTimeout.value(flag: self.httpIdleTimeout, environment: environment)
        limits.requestTimeout =
            try Setting.httpRequestTimeout.value(flag: self.httpRequestTimeout, environment: environment)
        limits.memoryBytes = try Setting.httpBytes.value(flag: self.httpBytes, environment: environment).bytes
        return limits
    }

    private func credentials(
        trusting authorities: TLSAuthorities,
        _ environment: ProcessEnvironment
    ) throws(StartError) -> ChannelCredentials {
        let identity = try TLSIdentity(
            certificate: try Setting.tlsCertificate.value(flag: self.tlsCertificate, environment: environment),
            key: try Setting.tlsKey.value(flag: self.tlsKey, environment: environment)
        )
        switch authorities {
        case .file(let path):
            return .tls(trusting: try Setting.tlsAuthorities.certificates(inFile: path), identity: identity)
        case .system:
            return .tls(identity: identity)
        case .none:
            guard identity == nil else {
                throw StartError(.badConfiguration, "MESSENGER_TLS_CERT needs MESSENGER_TLS_CA")
            }
            return .insecure
        }
    }
}

extension Setting where Value == ServerAddress {
    static var serverAddress: Self {
        Setting("MESSENGER_SERVER_ADDR", default: .standard, summary: "Address of the gRPC server.")
    }
}

extension Setting where Value == Duration {
    static var openTimeout: Self {
        Setting(
            "MESSENGER_OPEN_TIMEOUT",
            default: .seconds(10),
            in: .zero ... .seconds(3600),
            summary: "How long a request waits for the stream's first opening."
        )
    }

    static var sendTimeout: Self {
        Setting(
            "MESSENGER_SEND_TIMEOUT",
            default: .seconds(10),
            in: .milliseconds(1) ... .seconds(3600),
            summary: "How long the server may take to accept a message."
        )
    }
}

extension Setting where Value == ByteCount {
    static var bufferBytes: Self {
        Setting(
            "MESSENGER_BUFFER_BYTES",
            default: .mebibytes(64),
            in: .kibibytes(64) ... .mebibytes(16384),
            summary:
                "How many bytes of messages are held until they are fetched; the stream pauses when they are reached."
        )
    }
}
