import GRPC
import Synchronization

/// How many calls there have been. Thread-safe.
final class CallCounters: Sendable {
    private let begun = Atomic(0)
    private let failed = Atomic(0)

    /// Calls that have begun.
    var calls: Int { begun.load(ordering: .relaxed) }
    /// Calls that ended with an error; a call that its client cancelled did not.
    var failedCalls: Int { failed.load(ordering: .relaxed) }

    var interceptor: ServerInterceptor {
        ServerInterceptor { _ in
            self.begun.add(1, ordering: .relaxed)
            return CallObserver { status, _ in
                if status.code != .ok && status.code != .cancelled { self.failed.add(1, ordering: .relaxed) }
            }
        }
    }
}
