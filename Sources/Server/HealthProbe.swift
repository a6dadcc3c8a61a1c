import GRPC
import Messenger

/// Asks a running server on this machine whether it serves, for a container's health check.
enum HealthProbe {
    private static let timeout = Duration.seconds(2)

    /// Opens a stream, which takes all of the server to answer, and lets go of it.
    static func run(_ settings: ServerSettings) async throws(StartError) {
        if settings.socket.path == nil, settings.encryption != .none {
            // The probe would need a certificate of its own, and to trust the server's.
            throw StartError(.badConfiguration, "A health check of a server with TLS needs MESSENGER_SERVER_SOCKET")
        }
        let target = settings.socket.path.map { "unix:\($0)" } ?? settings.host.target(port: settings.port)
        do {
            let group = try CompletionQueueGroup(count: 1)
            let answer = await answer(target, group)
            await group.shutDown()
            try answer.get()
        } catch {
            throw StartError(.unhealthy, "The server at \(target) does not answer: \(error)")
        }
    }

    private static func answer(_ target: String, _ group: CompletionQueueGroup) async -> Result<Void, any Error> {
        do {
            let channel = Channel(target: target, group: group)
            let stream = try channel.serverStreaming(
                MessengerMethods.readMessages,
                ReadMessagesRequest(),
                options: CallOptions(timeout: timeout)
            )
            let position = try await stream.initialMetadata.first(MessengerMethods.positionKey)
            // A stream that is refused has initial metadata too, but no position: its end says why.
            if position == nil { for try await _ in stream {} }
            return .success(())
        } catch {
            return .failure(error)
        }
    }
}
