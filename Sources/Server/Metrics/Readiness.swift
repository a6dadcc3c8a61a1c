import Synchronization

/// Whether the server accepts messages, as far as is known. Thread-safe.
final class Readiness: Sendable {
    private enum Phase {
        case starting
        case running
        case stopping
    }

    private struct State {
        var phase = Phase.starting
        var isWritable = true
    }

    private let state = Mutex(State())

    var isWritable: Bool { state.withLock(\.isWritable) }

    /// Why it accepts none; `nil` if it does.
    var objection: String? {
        state.withLock { state in
            switch state.phase {
            case .starting: "starting"
            case .running: state.isWritable ? nil : "the history cannot be written"
            case .stopping: "stopping"
            }
        }
    }

    func started() {
        state.withLock { $0.phase = .running }
    }

    func stopping() {
        state.withLock { $0.phase = .stopping }
    }

    func set(isWritable: Bool) {
        state.withLock { $0.isWritable = isWritable }
    }
}
