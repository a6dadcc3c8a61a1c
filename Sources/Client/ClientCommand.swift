import ArgumentParser
import GRPC
import Logging
import Messenger
import ServiceLifecycle
import UnixSignals

/// The client's program.
@main
struct ClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messenger-client",
        abstract: "Follows a chat with one room, and is driven over HTTP.",
        discussion: """
            POST /sendMessage          {"author":"…","text":"…"} sends a message
            POST /getAndFlushMessages  returns the messages that have arrived since the last time
            GET /healthz, /readyz      tell whether the program is alive and its stream is open

            Every setting is a flag or an environment variable; the flag wins.
            """,
        version: Version.current
    )

    @OptionGroup var settings: ClientSettings

    /// Requests that are still in progress after this long are cancelled: one may wait for a server that is away, or for a
    /// body that never comes.
    private static let gracePeriod = Duration.seconds(3)

    static func main() async {
        await launch()
    }

    func run() async throws {
        let credentials = try settings.credentials()
        Diagnostics.bootstrap(level: settings.shared.logLevel)
        let logger = Logger(label: "messenger-client")
        Diagnostics.forwardCoreLog(to: logger)
        var metadata = settings.settingsMetadata
        metadata["version"] = "\(Version.current)"
        metadata["httpConnections"] = "\(settings.httpLimits.possibleConnections)"
        logger.info("starting", metadata: metadata)

        let group = try CompletionQueueGroup(count: 1)
        let inbox = Inbox(capacity: settings.bufferBytes)
        let channel = Channel(
            target: settings.serverAddress.target,
            credentials: credentials,
            options: channelOptions,
            group: group
        )
        let subscription = Subscription(channel: channel, inbox: inbox, logger: logger)
        let room = GRPCRoom(channel: channel, follower: subscription, sendTimeout: settings.sendTimeout)
        let http = HTTPServer(settings: settings, inbox: inbox, room: room, logger: logger) { sockets in
            logger.info("listening", metadata: ["address": "\(sockets.map(\.address).joined(separator: ","))"])
        }

        // Stopped in reverse: no more requests, then no more messages.
        var configuration = ServiceGroupConfiguration(
            services: [MemoryTrim(), subscription, http],
            gracefulShutdownSignals: .stop,
            logger: .quiet
        )
        configuration.maximumGracefulShutdownDuration = Self.gracePeriod
        let services = ServiceGroup(configuration: configuration)
        // The subscription's task runs on the thread that polls its call, where an event resumes it on the spot.
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
        options.usesProxy = settings.serverProxy == .environment
        // What the stream may hold back while the inbox is full; the server's history keeps the rest.
        options.streamWindow = 256 << 10
        // The server compresses nothing.
        options.acceptedCompression = [.none]
        // Beside the subscription's own, which adds to it.
        options.maxBackoff = Backoff.longest
        options.userAgent = "messenger-client/\(Version.current)"
        return options
    }
}

extension Logger {
    /// For libraries whose lines would only repeat ours.
    static var quiet: Logger { Logger(label: "library") { _ in SwiftLogNoOpLogHandler() } }
}
