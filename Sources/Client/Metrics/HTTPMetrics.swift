import CoreMetrics
import HTTPServing
import Logging
import NIOHTTP1
import Prometheus

/// Counts the answers to HTTP requests, and logs them at `debug`. A route has one series for each status that there may be.
enum HTTPMetrics {
    private static let statuses: [HTTPResponseStatus] = [
        .ok, .notModified, .badRequest, .unauthorized, .forbidden, .notFound, .methodNotAllowed, .requestTimeout,
        .conflict, .gone, .payloadTooLarge, .uriTooLong, .unsupportedMediaType, .tooManyRequests,
        .requestHeaderFieldsTooLarge, .badGateway, .serviceUnavailable, .gatewayTimeout, .insufficientStorage,
    ]

    /// - Parameters:
    ///   - route: The route's label: a path that the client has, never one that a peer has chosen.
    ///   - factory: The process's by default.
    static func observer(
        _ route: String,
        _ logger: Logger,
        in factory: (any MetricsFactory)? = nil
    ) -> HTTPObserver {
        // Asking the logger at each request is expensive.
        let logs = logger.logLevel <= .debug
        let seconds = CoreMetrics.Timer(.requestSeconds, [("route", route)], in: factory)
        let counters = statuses.map { status in
            (code: status.code, counter: counter(route, "\(status.code)", factory))
        }
        let other = counter(route, "other", factory)
        return { answer in
            if logs { log(answer, route, logger) }
            seconds.record(answer.duration)
            let code = answer.status.code
            for entry in counters where entry.code == code { return entry.counter.increment() }
            other.increment()
        }
    }

    private static func log(_ answer: HTTPAnswer, _ route: String, _ logger: Logger) {
        logger.debug(
            "request answered",
            metadata: [
                "route": "\(route)",
                "status": "\(answer.status.code)",
                "duration": "\(answer.duration)",
                "request_id": "\(answer.requestID ?? "none")",
            ]
        )
    }

    private static func counter(_ route: String, _ status: String, _ factory: (any MetricsFactory)?) -> Counter {
        Counter(.requests, [("route", route), ("status", status)], in: factory)
    }

    /// Lets routes count their answers. The files of the page count together.
    static func observed(_ routes: [HTTPRoute], _ logger: Logger) -> [HTTPRoute] {
        let page = observer("/page", logger)
        return routes.map { route in
            var route = route
            route.observer = route.path.hasPrefix("/page/") ? page : observer(route.path, logger)
            return route
        }
    }
}
