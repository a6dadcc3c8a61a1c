import GRPC
import Logging
import Messenger

/// What the server can be told, each by a flag or an environment variable.
struct ServerSettings: Sendable {
    /// Where the server listens.
    var host = ListenHost.all
    var port: Port = 51075
    var logLevel = Logger.Level.info
    var messageLimits = MessageLimits()
    /// Most messages held for readers that come back.
    var historyMessages: Count = 1_000_000
    /// Most memory for them.
    var historyBytes = ByteCount.mebibytes(256)
    /// Where more is held than in memory.
    var history = HistorySettings()
    /// Most memory for what is on its way on all connections.
    var connectionBytes = ByteCount.mebibytes(1024)
    /// Most connections at the same time.
    var maxConnections: Count = 10_000
    /// Most calls at the same time on one connection.
    var maxStreams: Count = 1_000
    /// Most calls at the same time on all connections.
    var maxCalls: Count = 20_000
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
