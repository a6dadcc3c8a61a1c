import GRPC
import SQLite
import Synchronization

/// Moves a long write-ahead log into the file on a thread of its own, while the writer goes on. Thread-safe.
final class Checkpointer: Sendable {
    private struct State {
        var worker: BatchWorker<Void>?
        var isRunning = false
        var moved: Int?
        var lastMoved: Int?
        var notBefore = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// How long it waits after a run that moved nothing, because another process reads.
    private static let pause = Duration.milliseconds(500)

    /// Takes a connection of its own.
    func begin(_ database: sending Database) throws(SystemError) {
        let source = Mutex<Database?>(database)
        let worker = try BatchWorker<Void>(
            named: "history-upkeep",
            limit: 1,
            work: { [self] _ in
                let moved = source.withLock { try? $0?.checkpoint().moved }
                state.withLock { state in
                    state.isRunning = false
                    if moved == state.lastMoved { state.notBefore = .now + Self.pause }
                    state.moved = moved
                    state.lastMoved = moved
                }
            },
            atEnd: { source.withLock { $0 = nil } }
        )
        state.withLock { $0.worker = worker }
    }

    /// Whether it has a connection yet.
    var hasBegun: Bool { state.withLock { $0.worker != nil } }

    /// Begins to move what is in the log, unless that is under way.
    func start() {
        let worker = state.withLock { state -> BatchWorker<Void>? in
            guard !state.isRunning, state.notBefore <= .now else { return nil }
            state.isRunning = true
            return state.worker
        }
        _ = worker?.submit(())
    }

    /// How many frames of the log were in the file after the last run, if there was one since this was last asked.
    func takeMoved() -> Int? {
        state.withLock { exchange(&$0.moved, with: nil) }
    }

    func close() async {
        let worker = state.withLock { $0.worker }
        await worker?.close()
    }
}
