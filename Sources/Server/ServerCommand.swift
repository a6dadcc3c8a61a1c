import ArgumentParser
import LibGRPC
import Logging
import Messenger
import ServiceLifecycle
import UnixSignals

/// The server's program. The settings are its command: each nested group makes ArgumentParser's checks in debug builds
/// slower.
@main
extension ServerSettings: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "messenger-server",
        abstract: "Serves a chat with one room over gRPC.",
        discussion: "Every setting is a flag or an environment variable. The flag wins.",
        version: Version.current
    )

    static func main() async {
        await launch()
    }

    mutating func run() async throws {
        if try printToken() { return }
        if try await checkHistoryFile() { return }
        try history.readHistoryFile()
        if try await backUpHistory() { return }
        let certificates = try ServerCertificates(self)
        if checkHealth { return try await HealthCheck.run(self) }
        let tokens = try accessTokens()

        Diagnostics.bootstrap(level: shared.logLevel, format: shared.logFormat)
        let logger = Logger(label: "messenger-server")
        Diagnostics.forwardCoreLog(to: logger, isServer: true)
        let metrics = metricsPort.port.map { _ in ServerMetrics() }
        var services: [any Service] = [
            MessengerServer(
                settings: self,
                credentials: certificates?.credentials ?? .insecure,
                tokens: tokens,
                metrics: metrics,
                logger: logger
            ),
            MemoryTrim(),
        ]
        if let port = metricsPort.port, let metrics {
            // They stop in reverse order.
            services.insert(try MetricsService(self, port: port, metrics: metrics, logger: logger), at: 0)
        }
        var rereads: [@Sendable () -> Void] = []
        if let tokens { rereads.append { tokens.reread(logger) } }
        if let certificates { rereads.append { certificates.reread(logger) } }
        if !rereads.isEmpty { services.append(await Rereading(rereads)) }
        let signals: [UnixSignal] = rereads.isEmpty ? .stop : .stopUnlessRereading
        let configuration = ServiceGroupConfiguration(services, gracefulShutdownSignals: signals)
        try await ServiceGroup(configuration: configuration).run()
    }
}
