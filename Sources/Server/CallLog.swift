import HTTPServing
import LibGRPC
import Logging
import Messenger
import Synchronization

/// Counts calls, and logs those that failed because of the server. Thread-safe.
///
/// It logs other calls only at `debug`, and refused calls only as sums, because clients decide how many there are.
final class CallLog: Sendable {
    private let logger: Logger
    private let metrics: CallMetrics?
    /// Stored, because asking the logger at each call is expensive.
    private let logsEveryCall: Bool
    private let started = Atomic(0)
    private let failed = Atomic(0)
    private let refusals = Mutex(Refusals())

    private struct Refusals {
        var total = 0
        /// By reason, since the last line.
        var unreported: [RefusedCall: Int] = [:]
        /// By reason, since the start. Only if there are metrics.
        var totals: [String: Int] = [:]
        var lastLine: ContinuousClock.Instant?

        mutating func take(_ now: ContinuousClock.Instant) -> [RefusedCall: Int] {
            lastLine = now
            return exchange(&unreported, with: [:])
        }
    }

    /// The least time between two lines about refused calls.
    private static let reportInterval = Duration.seconds(60)

    /// - Parameter metrics: Counts the calls, too; `nil` for none.
    init(_ logger: Logger, metrics: CallMetrics? = nil) {
        self.logger = logger
        self.metrics = metrics
        logsEveryCall = logger.logLevel <= .debug
    }

    var calls: Int { started.load(ordering: .relaxed) }
    /// Calls that ended with an error, other than those that their clients cancelled.
    var failedCalls: Int { failed.load(ordering: .relaxed) }
    /// Calls that were refused before their handler. The other two do not include them.
    var refusedCalls: Int { refusals.withLock(\.total) }

    /// How many calls were refused for each reason. There are few reasons, and all are the server's.
    var refusalTotals: [(reason: String, count: Int)] {
        refusals.withLock(\.totals).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var interceptor: ServerInterceptor {
        ServerInterceptor(callRefused: callRefused) { [self] context in
            started.add(1, ordering: .relaxed)
            let start = ContinuousClock.now
            let method = metrics?.method(context.path)
            method?.callBegan()
            return CallObserver { [self] status, cause in
                method?.callEnded(status.code, since: start)
                callEnded(context, start, status, cause)
            }
        }
    }

    private func callRefused(_ call: RefusedCall) {
        let now = ContinuousClock.now
        let counts = refusals.withLock { refusals -> [RefusedCall: Int] in
            refusals.total += 1
            refusals.unreported[call, default: 0] += 1
            if metrics != nil { refusals.totals[call.nameInLog, default: 0] += 1 }
            if let lastLine = refusals.lastLine, now - lastLine < Self.reportInterval { return [:] }
            return refusals.take(now)
        }
        log(counts)
    }

    /// Logs, each minute, what would otherwise wait for the next refused call. Runs until its task is cancelled.
    func reportRefusals() async {
        while true {
            do { try await Task.sleep(for: Self.reportInterval) } catch { return }
            let now = ContinuousClock.now
            log(
                refusals.withLock { refusals in
                    guard let lastLine = refusals.lastLine, now - lastLine >= Self.reportInterval else { return [:] }
                    return refusals.take(now)
                }
            )
        }
    }

    /// Logs what was not logged yet. Called at the end.
    func reportLastRefusals() {
        log(refusals.withLock { $0.take(.now) })
    }

    private func log(_ counts: [RefusedCall: Int]) {
        guard !counts.isEmpty else { return }
        // The same reason may have several codes.
        let sums = Dictionary(counts.map { ($0.nameInLog, $1) }, uniquingKeysWith: +)
        logger.warning("calls refused", metadata: sums.mapValues { "\($0)" })
    }

    private func callEnded(
        _ context: ServerContext,
        _ start: ContinuousClock.Instant,
        _ status: Status,
        _ cause: (any Error)?
    ) {
        if status.code != .ok && status.code != .cancelled { failed.add(1, ordering: .relaxed) }
        let isServerError = status.code == .unknown || status.code == .internal || status.code == .dataLoss
        guard isServerError || logsEveryCall else { return }
        var metadata: Logger.Metadata = [
            "method": "\(context.path)",
            "peer": "\(context.peer)",
            "status": "\(status.code)",
            "error": "\(cause.map { "\($0)" } ?? "none")",
            "duration": "\(ContinuousClock.now - start)",
        ]
        if let grant = context.caller as? AccessGrant { metadata["token"] = "\(grant.name)" }
        let ids = context.metadataValues(MessengerMethods.requestIDKey)
        if ids.count == 1, RequestID.isValid(ids[0]) {
            metadata["request_id"] = "\(String(decoding: ids[0], as: UTF8.self))"
        }
        logger.log(level: isServerError ? .error : .debug, "call ended", metadata: metadata)
    }
}

extension RefusedCall {
    /// The reason. For a call that its token does not allow, that is the status.
    fileprivate var nameInLog: String {
        guard reason == .notAdmitted else { return reason.rawValue }
        return switch code {
        case .unauthenticated: "noValidToken"
        case .permissionDenied: "noRight"
        case .resourceExhausted: "overRate"
        default: reason.rawValue
        }
    }
}
