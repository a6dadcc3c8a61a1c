import HTTPServing
import LibGRPC
import Logging
import Messenger
import NIOCore
import NIOHTTP1
import Prometheus
import ServiceLifecycle

/// Serves `/metrics`, `/healthz` and `/readyz` over HTTP. It stops after all other services, so that `/readyz` says that
/// the server is stopping.
struct MetricsService: Service {
    private let server: HTTPServer
    private let sockets: [ListeningSocket]

    /// Listens from now on.
    init(_ settings: ServerSettings, port: Port, metrics: ServerMetrics, logger: Logger) throws(StartError) {
        // One thread is enough.
        NIOSingletons.groupLoopCountSuggestion = 1
        let limits = HTTPLimits(
            idleTimeout: .seconds(120),
            requestTimeout: .seconds(10),
            bodyBytes: 1024,
            connections: 64,
            memoryBytes: 8 << 20
        )
        server = HTTPServer(
            routes: Self.routes(metrics),
            limits: limits,
            memory: HTTPMemory(limit: limits.memoryBytes),
            allowedHosts: AllowedHosts([], setting: "an address"),
            errorBody: { ByteBuffer(string: #"{"error":"\#($0)"}"#) }
        )
        sockets = try settings.metricsHost.listen(
            port: port,
            hostVariable: "MESSENGER_METRICS_HOST",
            portVariable: "MESSENGER_METRICS_PORT"
        )
        logger.info("metrics", metadata: ["address": "\(sockets.map(\.address).joined(separator: ","))"])
    }

    func run() async throws {
        // A peer that takes nothing must not delay the end.
        try await cancelWhenGracefulShutdown {
            try await server.run(on: sockets.map(\.descriptor)) {}
        }
    }

    private static func routes(_ metrics: ServerMetrics) -> [HTTPRoute] {
        [
            .metrics(metrics.registry, isOpen: true),
            HTTPRoute("/healthz", [.GET, .HEAD], isHealth: true) { _ in
                .response(HTTPResponse(body: ByteBuffer(staticString: #"{"status":"ok"}"#)))
            },
            HTTPRoute("/readyz", [.GET, .HEAD], isHealth: true) { [readiness = metrics.readiness] _ in
                guard let objection = readiness.objection else {
                    return .response(HTTPResponse(body: ByteBuffer(staticString: #"{"status":"ready"}"#)))
                }
                let body = ByteBuffer(string: #"{"status":"not ready","reason":"\#(objection)"}"#)
                return .response(HTTPResponse(status: .serviceUnavailable, body: body))
            },
        ]
    }
}
