import LibGRPC
import Messenger
import ServiceLifecycle

/// Opens a store on a thread of its own, because that waits for a disk or a network.
/// - Parameter interrupt: Makes `open` return early at a graceful shutdown. Without it, the thread is left alone then.
func opened<Store: Sendable>(
    interrupt: (@Sendable () -> Void)? = nil,
    _ open: @escaping @Sendable () throws(StartError) -> Store
) async throws(StartError) -> Store {
    let (results, result) = AsyncStream.makeStream(of: Result<Store, StartError>.self)
    do {
        try Thread.start(named: "history-open") { result.yield(Result(catching: open)) }
    } catch {
        throw StartError(.unavailable, "Cannot open the history: \(error)")
    }
    let first = await withGracefulShutdownHandler {
        await results.first { _ in true }
    } onGracefulShutdown: {
        if let interrupt { interrupt() } else { result.finish() }
    }
    guard let first else { throw StoredHistory.stopped }
    return try first.get()
}
