import GRPC
import Logging
import Synchronization

/// Counts calls, and logs each when it has ended: as an error where the server is to blame, else for debugging only, since
/// strangers decide how many such lines there are. Thread-safe.
final class CallLog: Sendable {
    private let logger: Logger
    /// Kept: to ask the logger for each call would be the dearest part of this.
    private let logsAll: Bool
    private let begun = Atomic(0)
    private let failed = Atomic(0)

    init(_ logger: Logger) {
        self.logger = logger
        logsAll = logger.logLevel <= .debug
    }

    /// Calls that have begun.
    var calls: Int { begun.load(ordering: .relaxed) }
    /// Calls that ended with an error; a call that its client cancelled did not.
    var failedCalls: Int { failed.load(ordering: .relaxed) }

    var interceptor: ServerInterceptor {
        ServerInterceptor { context in
            self.begun.add(1, ordering: .relaxed)
            let start = ContinuousClock.now
            return CallObserver { status, cause in self.ended(context, start, status, cause) }
        }
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
