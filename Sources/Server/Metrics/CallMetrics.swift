import CoreMetrics
import LibGRPC
import Prometheus
import Synchronization

/// Counts the calls of each method. Only methods of the server have series, so strangers cannot make any.
final class CallMetrics: Sendable {
    private let methods: [MethodMetrics]

    init(_ methods: [ServerMethod], in factory: (any MetricsFactory)? = nil) {
        self.methods = methods.compactMap { MethodMetrics($0, in: factory) }
    }

    /// Those of a method of the server. A short list, the busiest methods first, is faster than a dictionary.
    func method(_ path: String) -> MethodMetrics? {
        for method in methods where path.hasBytes(of: method.path) { return method }
        return nil
    }
}

/// Counts the calls of one method.
final class MethodMetrics: Sendable {
    let path: String
    let labels: MetricLabels
    private let started: Counter
    /// By the status's number.
    private let handled: [Counter]
    private let received: Counter?
    private let sent: Counter?
    private let seconds: CoreMetrics.Timer?
    private let open = Atomic(0)

    /// `nil` for a method without a name of its own.
    fileprivate init?(_ method: ServerMethod, in factory: (any MetricsFactory)?) {
        guard let path = method.path else { return nil }
        let names = path.split(separator: "/").map(String.init)
        guard names.count == 2 else { return nil }
        let type =
            switch (method.isStreaming, method.readsFirstMessage) {
            case (false, _): "unary"
            case (true, true): "server_stream"
            // The server has no other method whose client streams.
            case (true, false): "bidi_stream"
            }
        let labels = [("grpc_type", type), ("grpc_service", names[0]), ("grpc_method", names[1])]
        self.path = path
        self.labels = labels
        started = Counter(.callsStarted, labels, in: factory)
        handled = (0...16).map { number in
            let code = Status.Code(rawValue: number)?.nameInMetrics ?? ""
            return Counter(.callsHandled, labels + [("grpc_code", code)], in: factory)
        }
        received = method.readsFirstMessage ? Counter(.messagesReceived, labels, in: factory) : nil
        sent = method.isStreaming ? nil : Counter(.messagesSent, labels, in: factory)
        seconds = method.isStreaming ? nil : CoreMetrics.Timer(.callSeconds, labels, in: factory)
    }

    /// The number of streams that are open.
    var openStreams: Int { open.load(ordering: .relaxed) }

    func callBegan() {
        started.increment()
        received?.increment()
        if seconds == nil { open.add(1, ordering: .relaxed) }
    }

    func callEnded(_ code: Status.Code, since start: ContinuousClock.Instant) {
        handled[code.rawValue].increment()
        guard let seconds else {
            open.subtract(1, ordering: .relaxed)
            return
        }
        if code == .ok { sent?.increment() }
        seconds.record(.now - start)
    }
}

extension Status.Code {
    /// `InvalidArgument`, as gRPC's usual middleware writes it.
    fileprivate var nameInMetrics: String {
        if self == .ok { return "OK" }
        return description.split(separator: "_").map { $0.prefix(1) + $0.dropFirst().lowercased() }.joined()
    }
}

/// The batches of messages that a storage has stored. For its writer's thread.
struct CommitMetrics: Sendable {
    private let seconds = CoreMetrics.Timer(.commitSeconds)
    private let messages = Counter(.committedMessages)

    func committed(_ count: Int, since start: ContinuousClock.Instant) {
        seconds.record(.now - start)
        messages.increment(by: count)
    }
}

/// The messages that a storage has not accepted.
struct RefusedSends: Sendable {
    private let counters = ["full", "busy", "away"].map { ($0, Counter(.refusedSends, [("reason", $0)])) }

    func count(_ error: StorageError) {
        guard case .full(let reason) = error else {
            if case .unavailable(let reason) = error { count(reason.kind) }
            return
        }
        count(reason.kind)
    }

    private func count(_ kind: String) {
        for (name, counter) in counters where name == kind { counter.increment() }
    }
}

/// A count that is read at a scrape. Thread-safe.
final class SharedCount: Sendable {
    private let value = Atomic(0)

    func add(_ count: Int) {
        value.add(count, ordering: .relaxed)
    }

    func load() -> Int { value.load(ordering: .relaxed) }
}
