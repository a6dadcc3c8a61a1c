import GRPC
import Logging
import Messenger

/// Everything that the client can be told, checked.
struct ClientSettings: Sendable {
    /// Where the gRPC server listens.
    var serverAddress = ServerAddress.standard
    /// Whether it is reached by way of a proxy.
    var serverProxy = ServerProxy.none
    /// Where the HTTP server listens.
    var httpHost = ListenHost.all
    /// The port of the HTTP server; 0 takes any free one.
    var httpPort: Port = 8080
    /// The names under which browsers may use the HTTP server, beside addresses and names of this machine.
    var httpAllowedHosts = HostNames.none
    /// What a peer of the HTTP server may use up.
    var httpLimits = HTTPLimits()
    /// The least level of the events that are logged.
    var logLevel = Logger.Level.info
    /// How long a request waits for the stream's first opening.
    var openTimeout = Duration.seconds(10)
    /// How long the server may take to accept a message.
    var sendTimeout = Duration.seconds(10)
    /// How many bytes of messages are held until they are fetched.
    var bufferBytes = ByteCount.mebibytes(64)
    /// How long a message's author and text may be.
    var messageLimits = MessageLimits()
    /// Whom the client trusts to vouch for the server.
    var tlsAuthorities = TLSAuthorities.none
    /// What is shown to the server and wanted of it.
    var credentials = ChannelCredentials.insecure
}
