import ArgumentParser
import Messenger

/// The server's settings.
struct ServerSettings: ParsableArguments, Sendable {
    @Option("MESSENGER_SERVER_HOST", "Addresses on which the gRPC server listens.")
    var serverHost: ListenHost = .all

    @Option("MESSENGER_SERVER_PORT", "Port of the gRPC server; 0 for any free one.")
    var serverPort: Port = 51075

    @Option(
        "MESSENGER_SERVER_SOCKET",
        """
        Path of a Unix socket on which the server listens too, without TLS, for programs of the same user. The health \
        check of a server with TLS needs it.
        """
    )
    var serverSocket: FilePath = .none

    @Option(
        "MESSENGER_HISTORY_MESSAGES",
        in: 1...1_000_000_000,
        "Most messages held in memory for readers that come back."
    )
    var historyMessages: Count = 1_000_000

    @Option("MESSENGER_HISTORY_BYTES", in: .kibibytes(64) ... .mebibytes(65535), "Most memory for these messages.")
    var historyBytes: ByteCount = .mebibytes(256)

    @OptionGroup(of: HistorySettings.self) var history: HistorySettings

    @Option(
        "MESSENGER_MAX_CONNECTIONS",
        in: 1...1_000_000,
        """
        Most connections at the same time. More wait to be accepted. At least 128 of the file descriptors, or half of \
        them, are kept free for everything else.
        """
    )
    var maxConnections: Count = 10_000

    @Option(
        "MESSENGER_MAX_STREAMS",
        in: 1...1_000_000,
        "Most calls at the same time on one connection. Its client waits before it starts more."
    )
    var maxStreams: Count = 1_000

    @Option(
        "MESSENGER_MAX_CALLS",
        in: 1...10_000_000,
        "Most calls at the same time on all connections. More fail with RESOURCE_EXHAUSTED."
    )
    var maxCalls: Count = 20_000

    @Option(
        "MESSENGER_CONNECTION_BYTES",
        in: .mebibytes(16) ... .mebibytes(65535),
        "Most memory for data that is being sent or received on all connections. Beyond it the server ends calls."
    )
    var connectionBytes: ByteCount = .mebibytes(1024)

    @Option(
        "MESSENGER_TLS_CLIENT_CA",
        """
        PEM file with the authorities that sign clients' certificates. Clients must then show a certificate (mutual TLS).
        """
    )
    var tlsClientAuthorities: FilePath = .none

    @Option(
        "MESSENGER_TOKENS_FILE",
        """
        File of the tokens that calls need, one a line: NAME SHA256-HEX RIGHTS [RATE/s], where RIGHTS is read, send or \
        read,send. It is read again at SIGHUP. Without it, calls need no token.
        """
    )
    var tokensFile: FilePath = .none

    @Option(
        "MESSENGER_METRICS_PORT",
        "Port for /metrics, /healthz and /readyz over HTTP, without a token; 0 for any free one."
    )
    var metricsPort: OptionalPort = .none

    @Option("MESSENGER_METRICS_HOST", "Addresses on which the server listens at that port.")
    var metricsHost: ListenHost = .localhost

    @OptionGroup(of: SharedSettings.self) var shared: SharedSettings

    @Flag("Check whether the server on this machine works. Exit with 0 if it does, else with 1.")
    var checkHealth = false

    @Option(
        """
        Copy the history that MESSENGER_HISTORY names to a new file, also while a server uses it, check the copy, and \
        exit.
        """,
        valueName: "file",
        transform: { $0 }
    )
    var backup: String?

    @Option(
        "Check whether the file of a history or a backup is sound, change nothing, and exit.",
        valueName: "file",
        transform: { $0 }
    )
    var checkHistory: String?

    @Option(
        "Print a new token, and its line for the file of MESSENGER_TOKENS_FILE, and exit.",
        transform: { try TokenName(parsing: $0) }
    )
    var makeToken: TokenName?

    @Option(
        "What the new token allows: \(AccessRights.form). (default: read,send)",
        transform: { try AccessRights(parsing: $0) }
    )
    var tokenRights: AccessRights?

    @Option(
        "How many messages the new token may send: \(MessageRate.form). (default: no limit)",
        transform: { try MessageRate(parsing: $0) }
    )
    var tokenRate: MessageRate?

    /// Whether the port accepts only TLS.
    var usesTLS: Bool { shared.tlsCertificate != .none }
}
