import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

/// Answers every request: finds who is responsible for its path, and turns errors into JSON.
///
/// There are four paths, so a `switch` does the routing; Hummingbird's router would also answer a wrong method with 404
/// and no `Allow`.
struct ClientResponder<Room: RemoteRoom>: HTTPResponder {
    let sending: SendMessageEndpoint<Room>
    let fetching: FlushMessagesEndpoint<Room>
    let health: HealthEndpoint<Room>

    /// Answers a request.
    ///
    /// - Throws: Only `HTTPParserError`, for a request that breaks off or turns into nonsense: Hummingbird answers it
    ///   and closes the connection.
    func respond(to request: Request, context: ClientRequestContext) async throws -> Response {
        do {
            return try await self.route(request, context)
        } catch let failure as HTTPFailure {
            context.logger.debug(
                "Request failed.",
                metadata: [
                    "path": "\(request.uri.path)", "status": "\(failure.status.code)", "error": "\(failure.message)",
                ]
            )
            return failure.response(to: request.method)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            context.logger.error("Request failed.", error: error, metadata: ["path": "\(request.uri.path)"])
            return HTTPFailure.unexpected.response(to: request.method)
        }
    }

    private func route(_ request: Request, _ context: ClientRequestContext) async throws -> Response {
        switch request.uri.path {
        case "/sendMessage":
            try request.requireMethod([.post])
            return try await self.sending.respond(to: request, context: context)
        case "/getAndFlushMessages":
            try request.requireMethod([.post])
            return try await self.fetching.respond(to: request, context: context)
        case "/healthz":
            try request.requireMethod([.get, .head])
            return self.health.respondWhetherAlive(to: request)
        case "/readyz":
            try request.requireMethod([.get, .head])
            return self.health.respondWhetherReady(to: request)
        default:
            throw HTTPFailure.notFound
        }
    }
}

extension Request {
    fileprivate func requireMethod(_ allowed: [HTTPRequest.Method]) throws(HTTPFailure) {
        guard allowed.contains(self.method) else { throw .methodNotAllowed(allowed) }
    }
}
