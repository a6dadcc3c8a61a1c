import HTTPServing
import Messenger
import NIOCore

/// Checks whether the client on this machine works: the `--check-health` of containers.
enum HealthCheck {
    static func run(_ settings: ClientSettings) async throws(StartError) {
        // One thread is enough.
        NIOSingletons.groupLoopCountSuggestion = 1
        let address = settings.httpHost.address(port: settings.httpPort)
        // Connections to 0.0.0.0 and :: go to this machine too.
        let host = settings.httpHost == .all ? "127.0.0.1" : settings.httpHost.settingText
        let status: UInt
        do {
            status = try await HTTPProbe.status(
                of: "/healthz",
                host: host,
                port: Int(settings.httpPort.number),
                timeout: .seconds(2)
            )
        } catch {
            throw StartError(.unhealthy, "The client at \(address) does not answer: \(error)")
        }
        guard status == 200 else {
            throw StartError(.unhealthy, "The client at \(address) answers \(status) to /healthz")
        }
    }
}
