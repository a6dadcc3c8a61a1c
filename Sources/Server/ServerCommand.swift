import ArgumentParser
import GRPC
import Logging
import Messenger
import ServiceLifecycle
import UnixSignals

/// The server's program.
@main
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messenger-server",
        abstract: "Serves a chat with one room over gRPC.",
        discussion: "Every setting is a flag or an environment variable; the flag wins.",
        version: Version.current
    )

    @OptionGroup var settings: ServerSettings

    @Flag(help: "Ask the server that runs on this machine whether it serves, and exit with 0 if so.")
    var checkHealth = false

    static func main() async {
        await launch()
    }

    mutating func run() async throws {
        try settings.history.readHistoryFile()
        let credentials = try settings.credentials()
        if checkHealth { return try await HealthCheck.run(settings) }

        Diagnostics.bootstrap(level: settings.shared.logLevel)
        let logger = Logger(label: "messenger-server")
        Diagnostics.forwardCoreLog(to: logger, isServer: true)
        let services = ServiceGroup(
            services: [MessengerServer(settings: settings, credentials: credentials, logger: logger), MemoryTrim()],
            gracefulShutdownSignals: .stop,
            logger: Logger(label: "lifecycle") { _ in SwiftLogNoOpLogHandler() }
        )
        try await services.run()
    }
}
