import CoreMetrics
import HTTPServing
import NIOHTTP1
import Prometheus

/// Counts the answers to HTTP requests. A route has one series for each status that there may be.
enum HTTPMetrics {
    private static let statuses: [HTTPResponseStatus] = [
        .ok, .notModified, .badRequest, .unauthorized, .forbidden, .notFound, .methodNotAllowed, .requestTimeout,
        .conflict, .gone, .payloadTooLarge, .uriTooLong, .unsupportedMediaType, .tooManyRequests,
        .requestHeaderFieldsTooLarge, .badGateway, .serviceUnavailable, .gatewayTimeout, .insufficientStorage,
    ]

    /// - Parameters:
    ///   - route: The route's label: a path that the client has, never one that a peer has chosen.
    ///   - factory: The process's by default.
    static func observer(_ route: String, in factory: (any MetricsFactory)? = nil) -> HTTPObserver {
        let seconds = CoreMetrics.Timer(.requestSeconds, [("route", route)], in: factory)
        let counters = statuses.map { status in
            (code: status.code, counter: counter(route, "\(status.code)", factory))
        }
        let other = counter(route, "other", factory)
        return { status, duration in
            seconds.record(duration)
            let code = status.code
            for entry in counters where entry.code == code { return entry.counter.increment() }
            other.increment()
        }
    }

    private static func counter(_ route: String, _ status: String, _ factory: (any MetricsFactory)?) -> Counter {
        Counter(.requests, [("route", route), ("status", status)], in: factory)
    }

    /// Lets routes count their answers. The files of the page count together.
    static func observed(_ routes: [HTTPRoute]) -> [HTTPRoute] {
        let page = observer("/page")
        return routes.map { route in
            var route = route
            route.observer = route.path.hasPrefix("/page/") ? page : observer(route.path)
            return route
        }
    }
}
