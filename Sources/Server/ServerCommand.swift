import ArgumentParser
import LibGRPC
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
        discussion: "Every setting is a flag or an environment variable. The flag wins.",
        version: Version.current
    )

    @OptionGroup var settings: ServerSettings

    @Flag(help: "Check whether the server on this machine works. Exit with 0 if it does, else with 1.")
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
