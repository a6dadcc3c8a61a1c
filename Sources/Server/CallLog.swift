import GRPC
import Logging
import Synchronization

/// Counts calls, and logs each when it has ended: as an error where the server is to blame, else for debugging only, since
/// strangers decide how many such lines there are. Of calls that were refused it logs the numbers. Thread-safe.
final class CallLog: Sendable {
    private let logger: Logger
    /// Kept: to ask the logger for each call would be the dearest part of this.
    private let logsAll: Bool
    private let begun = Atomic(0)
    private let failed = Atomic(0)
    private let refusals = Mutex(Refusals())

    /// Calls that were refused, by reason.
    private struct Refusals {
        var total = 0
        /// Since the last line.
        var unreported: [RefusedCall.Reason: Int] = [:]
        var lastLine: ContinuousClock.Instant?

        mutating func take(_ now: ContinuousClock.Instant) -> [RefusedCall.Reason: Int] {
            lastLine = now
            return exchange(&unreported, with: [:])
        }
    }

    /// Refused calls leave one line in this time at the most.
    private static let reportInterval = Duration.seconds(60)

    init(_ logger: Logger) {
        self.logger = logger
        logsAll = logger.logLevel <= .debug
    }

    /// Calls that have begun.
    var calls: Int { begun.load(ordering: .relaxed) }
    /// Calls that ended with an error; a call that its client cancelled did not.
    var failedCalls: Int { failed.load(ordering: .relaxed) }
    /// Calls that ended without a handler, which are not among the others.
    var refusedCalls: Int { refusals.withLock(\.total) }

    var interceptor: ServerInterceptor {
        ServerInterceptor(callRefused: refused) { context in
            self.begun.add(1, ordering: .relaxed)
            let start = ContinuousClock.now
            return CallObserver { status, cause in self.ended(context, start, status, cause) }
        }
    }

    private func refused(_ call: RefusedCall) {
        let now = ContinuousClock.now
        let counts = refusals.withLock { refusals -> [RefusedCall.Reason: Int] in
            refusals.total += 1
            refusals.unreported[call.reason, default: 0] += 1
            if let lastLine = refusals.lastLine, now - lastLine < Self.reportInterval { return [:] }
            return refusals.take(now)
        }
        log(counts)
    }

    /// Reports in time what would otherwise wait for the next refused call. Ends with its task.
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

    /// Reports at the end what has not been reported.
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

    private func ended(
        _ context: ServerContext,
        _ start: ContinuousClock.Instant,
        _ status: Status,
        _ cause: (any Error)?
    ) {
        if status.code != .ok && status.code != .cancelled { failed.add(1, ordering: .relaxed) }
        let isOurFault = status.code == .unknown || status.code == .internal || status.code == .dataLoss
        guard isOurFault || logsAll else { return }
        logger.log(
            level: isOurFault ? .error : .debug,
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
