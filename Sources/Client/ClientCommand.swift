import ArgumentParser
import LibGRPC
import HTTPServing
import Logging
import Messenger
import ServiceLifecycle
import UnixSignals

/// The client's program. The settings are its command: each nested group makes ArgumentParser's checks in debug builds
/// slower.
@main
extension ClientSettings: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messenger-client",
        abstract: "Client of a chat with one room, controlled over HTTP.",
        discussion: """
            POST /sendMessage          {"author":"…","text":"…"} sends a message
            POST /getAndFlushMessages  returns the messages that arrived since the last time
            GET /messages              returns messages that the room holds (?after=TIME, ?last=N, ?limit=N)
            GET /events                the same and what follows, as server-sent events (?after=TIME, ?last=N, ?limit=N)
            GET /                      a page for people
            GET /metrics               returns metrics for Prometheus
            GET /healthz, /readyz      say whether the program is alive and its stream is open

            Every setting is a flag or an environment variable. The flag wins.
            """,
        version: Version.current
    )

    /// Requests that are still in progress after this time are cancelled. They may wait for a server that is down, or for
    /// a body that never arrives.
    private static let gracePeriod = Duration.seconds(3)

    static func main() async {
        await launch()
    }

    func run() async throws {
        if checkHealth { return try await HealthCheck.run(self) }
        let tlsFiles = try self.tlsFiles()
        let token = try serverToken()
        let httpTokens = try httpAccessTokens()
        Diagnostics.bootstrap(level: shared.logLevel, format: shared.logFormat)
        let logger = Logger(label: "messenger-client")
        Diagnostics.forwardCoreLog(to: logger)
        var metadata = settingsMetadata
        metadata["version"] = "\(Version.current)"
        metadata["httpConnections"] = "\(httpLimits.possibleConnections)"
        metadata["httpStreams"] = "\(possibleStreams)"
        logger.info("starting", metadata: metadata)

        let metrics = ClientMetrics()
        metrics.bootstrap()
        let group = try CompletionQueueGroup(count: 1)
        let inbox = Inbox(capacity: bufferBytes)
        let channel = ServerChannel(tlsFiles) { credentials in
            Channel(
                target: serverAddress.target,
                credentials: credentials,
                interceptors: token.map { [$0.interceptor] } ?? [],
                options: channelOptions,
                group: group
            )
        }
        let subscription = Subscription(channel: channel, inbox: inbox, logger: logger)
        metrics.observe(inbox, capacity: bufferBytes)
        metrics.observe(subscription)
        let room = GRPCRoom(channel: channel, subscription: subscription, sendTimeout: sendTimeout)
        let http = HTTPService(
            settings: self,
            inbox: inbox,
            room: room,
            tokens: httpTokens,
            metrics: metrics,
            logger: logger
        ) { sockets in
            logger.info("listening", metadata: ["address": "\(sockets.map(\.address).joined(separator: ","))"])
            noticeAccess(logger)
        }
        var rereads: [@Sendable () -> Void] = []
        if let token { rereads.append { token.reread(logger) } }
        if tlsAuthorities != .none { rereads.append { channel.reread(self, logger) } }
        if let httpTokens { rereads.append { httpTokens.reread(logger) } }
        let rereading: [any Service] = rereads.isEmpty ? [] : [await Rereading(rereads)]

        // They stop in reverse order: no more requests, then no more messages.
        var configuration = ServiceGroupConfiguration(
            rereading + [MemoryTrim(), subscription, http],
            gracefulShutdownSignals: rereads.isEmpty ? .stop : .stopUnlessRereading
        )
        configuration.maximumGracefulShutdownDuration = Self.gracePeriod
        let services = ServiceGroup(configuration: configuration)
        // The subscription's task runs on the thread that polls its call, so that events resume it without a switch.
        try await withTaskExecutorPreference(group.queues[0]) {
            try await services.run()
        }
        await group.shutDown()
        let left = inbox.counters
        if left.messages + left.leasedMessages > 0 {
            logger.warning("messages not fetched", metadata: ["count": "\(left.messages + left.leasedMessages)"])
        }
        logger.info("stopped")
    }

    private var channelOptions: ChannelOptions {
        var options = ChannelOptions()
        // The messenger's server allows these pings.
        options.keepalive = .default
        options.usesProxy = serverProxy == .environment
        // The most that the stream holds while the inbox is full. The server's history keeps the rest.
        options.streamWindow = 256 << 10
        // The server compresses nothing.
        options.acceptedCompression = [.none]
        // A server in a new container may have another address, and the old one may answer nothing at all.
        options.connectTimeout = .seconds(5)
        // The subscription's own backoff adds to it.
        options.maxBackoff = Backoff.maximum
        options.userAgent = "messenger-client/\(Version.current)"
        return options
    }
}
