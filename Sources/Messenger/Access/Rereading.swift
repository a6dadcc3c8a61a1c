internal import LibGRPC
public import ServiceLifecycle
internal import UnixSignals

/// Reads files again at SIGHUP.
public struct Rereading: Service {
    private let signals: UnixSignalsSequence
    private let actions: [@Sendable () -> Void]

    /// From here on SIGHUP does not end the process.
    ///
    /// - Parameter actions: They read a file each, one after the other, on a thread of their own.
    public init(_ actions: [@Sendable () -> Void]) async {
        signals = await UnixSignalsSequence(trapping: .sighup)
        self.actions = actions
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in signals { await reread() }
        }
    }

    private func reread() async {
        await withCheckedContinuation { continuation in
            let work = { @Sendable [actions] in
                for action in actions { action() }
                continuation.resume()
            }
            // Without a thread, here: it may delay others, but the signal counts.
            do { try Thread.start(named: "reread", work) } catch { work() }
        }
    }
}
