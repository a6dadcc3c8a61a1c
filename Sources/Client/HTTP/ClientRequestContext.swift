import Hummingbird
import Logging
import NIOCore

/// What comes with a request.
struct ClientRequestContext: InitializableFromSource {
    /// A logger that carries the request's number.
    let logger: Logger
    /// The connection.
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        self.logger = source.logger
        self.channel = source.channel
    }

    /// Opens when whoever sent the request has gone; `nil` when the connection does not tell.
    func departure() async -> Gate? {
        try? await self.channel.pipeline.handler(type: DepartureHandler.self).get().departure
    }
}
