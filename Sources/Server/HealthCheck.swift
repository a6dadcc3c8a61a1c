import GRPCServices
import LibGRPC
import Messenger

/// Checks whether the server on this machine works: the `--check-health` of containers.
enum HealthCheck {
    private static let timeout = Duration.seconds(2)

    /// Opens a stream, because the server needs all of its parts to answer that.
    static func run(_ settings: ServerSettings) async throws(StartError) {
        if settings.serverSocket == .none, settings.usesTLS {
            // The check would need a certificate of its own, and would have to trust the server's.
            throw StartError(.badConfiguration, "A health check of a server with TLS needs MESSENGER_SERVER_SOCKET")
        }
        let target =
            settings.serverSocket.path.map { "unix:\($0)" }
            ?? settings.serverHost.target(port: settings.serverPort)
        do {
            let group = try CompletionQueueGroup(count: 1)
            let answer = await answer(target, group, needsToken: settings.tokensFile != .none)
            await group.shutDown()
            try answer.get()
        } catch {
            throw StartError(.unhealthy, "The server at \(target) does not answer: \(error)")
        }
    }

    /// - Parameter needsToken: Whether streams need a token. The check has none, so it asks the health service then.
    private static func answer(
        _ target: String,
        _ group: CompletionQueueGroup,
        needsToken: Bool
    ) async -> Result<Void, any Error> {
        do {
            let channel = Channel(target: target, group: group)
            if needsToken { return try await askHealthService(channel) }
            let stream = try channel.serverStreaming(
                MessengerMethods.readMessages,
                ReadMessagesRequest(),
                options: CallOptions(timeout: timeout)
            )
            let position = try await stream.initialMetadata.first(MessengerMethods.positionKey)
            // A refused stream has initial metadata without a position. Its end throws the reason.
            if position == nil { for try await _ in stream {} }
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    private static func askHealthService(_ channel: Channel) async throws -> Result<Void, any Error> {
        let options = CallOptions(timeout: timeout)
        let status = try await HealthService.status(on: channel, options: options)
        guard status == .serving else {
            return .failure(RPCError(code: .unavailable, message: "the server is not serving"))
        }
        return .success(())
    }
}
