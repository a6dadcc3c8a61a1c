import NIOHTTP1

/// Finds who answers a request.
///
/// There are four paths, so a `switch` does it.
final class Routes<Room: RemoteRoom>: Sendable {
    private let sending: SendMessageEndpoint<Room>
    private let fetching: FlushMessagesEndpoint<Room>
    private let health: HealthEndpoint<Room>

    init(
        sending: SendMessageEndpoint<Room>,
        fetching: FlushMessagesEndpoint<Room>,
        health: HealthEndpoint<Room>
    ) {
        self.sending = sending
        self.fetching = fetching
        self.health = health
    }

    /// Answers a request, or says how to. Does not block.
    func reply(to request: HTTPRequest) throws(HTTPFailure) -> HTTPReply {
        switch request.path {
        case "/sendMessage":
            try request.requireMethod([.POST])
            return try self.sending.reply(to: request)
        case "/getAndFlushMessages":
            try request.requireMethod([.POST])
            return self.fetching.reply()
        case "/healthz":
            try request.requireMethod([.GET, .HEAD])
            return .now(self.health.whetherAlive())
        case "/readyz":
            try request.requireMethod([.GET, .HEAD])
            return .now(self.health.whetherReady())
        default:
            throw .notFound
        }
    }
}

extension HTTPRequest {
    fileprivate func requireMethod(_ allowed: [HTTPMethod]) throws(HTTPFailure) {
        guard allowed.contains(self.method) else { throw .methodNotAllowed(allowed) }
    }
}
