import LibGRPC
import Logging
import Synchronization

/// Counts calls, and logs those that failed because of the server. Thread-safe.
///
/// It logs other calls only at `debug`, and refused calls only as sums, because clients decide how many there are.
final class CallLog: Sendable {
    private let logger: Logger
    /// Stored, because asking the logger at each call is expensive.
    private let logsEveryCall: Bool
    private let started = Atomic(0)
    private let failed = Atomic(0)
    private let refusals = Mutex(Refusals())

    private struct Refusals {
        var total = 0
        /// By reason, since the last line.
        var unreported: [RefusedCall.Reason: Int] = [:]
        var lastLine: ContinuousClock.Instant?

        mutating func take(_ now: ContinuousClock.Instant) -> [RefusedCall.Reason: Int] {
            lastLine = now
            return exchange(&unreported, with: [:])
        }
    }

    /// The least time between two lines about refused calls.
    private static let reportInterval = Duration.seconds(60)

    init(_ logger: Logger) {
        self.logger = logger
        logsEveryCall = logger.logLevel <= .debug
    }

    var calls: Int { started.load(ordering: .relaxed) }
    /// Calls that ended with an error, other than those that their clients cancelled.
    var failedCalls: Int { failed.load(ordering: .relaxed) }
    /// Calls that were refused before their handler. The other two do not include them.
    var refusedCalls: Int { refusals.withLock(\.total) }

    var interceptor: ServerInterceptor {
        ServerInterceptor(callRefused: callRefused) { [self] context in
            started.add(1, ordering: .relaxed)
            let start = ContinuousClock.now
            return CallObserver { [self] status, cause in callEnded(context, start, status, cause) }
        }
    }

    private func callRefused(_ call: RefusedCall) {
        let now = ContinuousClock.now
        let counts = refusals.withLock { refusals -> [RefusedCall.Reason: Int] in
            refusals.total += 1
            refusals.unreported[call.reason, default: 0] += 1
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

    private func log(_ counts: [RefusedCall.Reason: Int]) {
        guard !counts.isEmpty else { return }
        logger.warning(
            "calls refused",
            metadata: Logger.Metadata(uniqueKeysWithValues: counts.map { ($0.rawValue, "\($1)") })
        )
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
        logger.log(
            level: isServerError ? .error : .debug,
            "call ended",
            metadata: [
                "method": "\(context.path)",
                "peer": "\(context.peer)",
                "status": "\(status.code)",
                "error": "\(cause.map { "\($0)" } ?? "none")",
                "duration": "\(ContinuousClock.now - start)",
            ]
        )
    }
}
