import GRPC
import Messenger

/// Asks a running server on this machine whether it serves, for a container's health check.
enum HealthProbe {
    private static let timeout = Duration.seconds(2)

    /// Opens a stream, which takes all of the server to answer, and lets go of it.
    static func run(port: Port) async throws(StartError) {
        do {
            let group = try CompletionQueueGroup(count: 1)
            let answer = await answer(port, group)
            await group.shutDown()
            try answer.get()
        } catch {
            throw StartError(.unhealthy, "The server on port \(port) does not answer: \(error)")
        }
    }

    private static func answer(_ port: Port, _ group: CompletionQueueGroup) async -> Result<Void, any Error> {
        do {
            let channel = Channel(target: "127.0.0.1:\(port)", group: group)
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
