import ArgumentParser
import LibGRPC
import HTTPServing
import Messenger

/// The client's settings.
struct ClientSettings: ParsableArguments, Sendable {
    @Option("MESSENGER_SERVER_ADDR", "Address of the gRPC server.")
    var serverAddress: ServerAddress = .standard

    @Option(
        "MESSENGER_SERVER_PROXY",
        """
        HTTP proxy between client and server. With 'environment', grpc_proxy, https_proxy or http_proxy names it, and \
        no_grpc_proxy or no_proxy the exceptions.
        """
    )
    var serverProxy: ServerProxy = .none

    @Option(
        "MESSENGER_TLS_CA",
        "Connect with TLS and trust these authorities: a PEM file, or 'system' for the system's."
    )
    var tlsAuthorities: TLSAuthorities = .none

    @Option(
        "MESSENGER_TOKEN_FILE",
        "File with the token that the client shows to the server, on one line. It is read again at SIGHUP."
    )
    var tokenFile: FilePath = .none

    @Option("MESSENGER_HTTP_HOST", "Addresses on which the HTTP server listens.")
    var httpHost: ListenHost = .all

    @Option("MESSENGER_HTTP_PORT", "Port of the HTTP server; 0 for any free one.")
    var httpPort: Port = 8080

    @Option(
        "MESSENGER_HTTP_ALLOWED_HOSTS",
        """
        Host names under which browsers may use the HTTP server, besides IP addresses, localhost and names without a dot.
        """
    )
    var httpAllowedHosts: HostNames = .none

    @Option(
        "MESSENGER_HTTP_TOKENS_FILE",
        """
        File of the tokens that HTTP requests need, in the form of the server's MESSENGER_TOKENS_FILE. It is read again \
        at SIGHUP. Without it, requests need no token.
        """
    )
    var httpTokensFile: FilePath = .none

    @Option(
        "MESSENGER_HTTP_CONNECTIONS",
        in: 1...1_000_000,
        """
        Most HTTP connections at the same time, and never more than half of the file descriptors. 16 more may ask for \
        /healthz and /readyz; their other requests get 503.
        """
    )
    var httpConnections: Count = 4096

    @Option(
        "MESSENGER_HTTP_STREAMS",
        in: 1...1_000_000,
        """
        Most readers of /events at the same time, and never more than half of the HTTP connections, or one for each \
        128 KiB of MESSENGER_HTTP_BYTES. Further ones get 503.
        """
    )
    var httpStreams: Count = 1000

    @Option(
        "MESSENGER_HTTP_BYTES",
        in: .mebibytes(2) ... .mebibytes(16384),
        """
        Most memory for requests and answers on all HTTP connections, half of it for messages that are being fetched. \
        Beyond it requests get 503 with Retry-After.
        """
    )
    var httpBytes: ByteCount = .mebibytes(128)

    @Option(
        "MESSENGER_HTTP_IDLE_TIMEOUT",
        in: .milliseconds(1) ... .seconds(3600),
        "Limit for a request's head to arrive, after the connection's start or the last answer."
    )
    var httpIdleTimeout: Duration = .seconds(120)

    @Option(
        "MESSENGER_HTTP_REQUEST_TIMEOUT",
        in: .milliseconds(1) ... .seconds(3600),
        """
        Limit for a request's body to arrive (408). A peer that reads an answer at less than 1 KiB/s, on average over \
        twice this time, is disconnected; a reader of /events that takes nothing already after this time.
        """
    )
    var httpRequestTimeout: Duration = .seconds(30)

    @Option(
        "MESSENGER_OPEN_TIMEOUT",
        in: .zero ... .seconds(3600),
        "How long a request waits until the stream has opened for the first time."
    )
    var openTimeout: Duration = .seconds(10)

    @Option(
        "MESSENGER_SEND_TIMEOUT",
        in: .milliseconds(1) ... .seconds(3600),
        "How long the server may take to accept a message."
    )
    var sendTimeout: Duration = .seconds(10)

    @Option(
        "MESSENGER_BUFFER_BYTES",
        in: .kibibytes(64) ... .mebibytes(16384),
        """
        Most memory for messages that are not fetched yet. When it is full, the stream pauses. After the stream broke, \
        messages that already arrived may use 512 KiB more.
        """
    )
    var bufferBytes: ByteCount = .mebibytes(64)

    @OptionGroup(of: SharedSettings.self) var shared: SharedSettings

    @Flag("Check whether the client on this machine answers. Exit with 0 if it does, else with 1.")
    var checkHealth = false

    /// What the HTTP server's peers may use.
    var httpLimits: HTTPLimits {
        HTTPLimits(
            idleTimeout: httpIdleTimeout,
            requestTimeout: httpRequestTimeout,
            bodyBytes: shared.messageLimits.maxBodyBytes,
            connections: httpConnections.number,
            memoryBytes: httpBytes.bytes
        )
    }

    /// How many may read events, so that they leave connections and memory for other requests.
    var possibleStreams: Int {
        let limits = httpLimits
        let most = min(limits.possibleConnections / 2, limits.memoryBytes / (128 << 10))
        return max(1, min(httpStreams.number, most))
    }

    /// Reads the files for TLS. Without authorities the connection has no encryption.
    func tlsFiles() throws(StartError) -> ClientTLSFiles {
        let identity = try shared.tlsIdentity()
        switch tlsAuthorities {
        case .file(let path):
            let authorities = try PEM(certificatesIn: path, setting: "MESSENGER_TLS_CA")
            return ClientTLSFiles(trust: .authorities(authorities), identity: identity)
        case .system:
            return ClientTLSFiles(trust: .system, identity: identity)
        case .none:
            guard identity == nil else {
                throw StartError(.badConfiguration, "MESSENGER_TLS_CERT needs MESSENGER_TLS_CA")
            }
            return ClientTLSFiles(trust: .nobody)
        }
    }
}
