internal import CGRPC
internal import Synchronization

extension Server {
    /// Stops listening, refuses new calls with `UNAVAILABLE`, and lets open calls continue for up to `gracePeriod`.
    ///
    /// When no call is open any more, it closes all connections. After the grace period it cancels the remaining
    /// calls. Half a second later it closes the connections that still have something to send, because their peers do
    /// not read.
    ///
    /// Returns when all connections are closed. By then the handlers' tasks are cancelled or about to be. A handler
    /// that ignores its cancellation may still be running. If called several times, the shortest grace period counts.
    /// Shut the server down before its group.
    public func shutDown(gracePeriod: Duration) async {
        lifecycle.withLock { lifecycle in
            switch lifecycle {
            case .idle: lifecycle = .shuttingDown(Shutdown(wasRunning: false))
            case .running: lifecycle = .shuttingDown(Shutdown(wasRunning: true))
            case .shuttingDown, .shutDown: break
            }
        }
        isEnding.store(true, ordering: .sequentiallyConsistent)
        await acceptor.stop()
        // Once the core shuts the server down, it cancels calls that arrive. So do that last.
        let grace = await waitForCalls(gracePeriod)
        ticking.withLock(\.self)?.cancel()
        floodGuard.stop()
        beginShutdown()
        // The core accepts a cancellation only after its shutdown has begun.
        let cancellation = Task {
            // Swift traps if the sum of this and the time is too large.
            try await Task.sleep(for: min(grace, .seconds(Int32.max)))
            grpc_server_cancel_all_calls(handle)
            try await Task.sleep(for: CompletionQueueGroup.farewell)
            acceptor.disconnect()
        }
        await withCheckedContinuation { continuation in
            let isComplete = lifecycle.withLock { lifecycle in
                guard case .shuttingDown(var shutdown) = lifecycle else { return true }
                shutdown.waiting.append(continuation)
                lifecycle = .shuttingDown(shutdown)
                return false
            }
            if isComplete { continuation.resume() }
        }
        cancellation.cancel()
    }

    /// Waits until no call is open, then closes all connections. Calls that are on their way would be refused anyway,
    /// and their clients see `UNAVAILABLE` either way. Returns the rest of the grace period.
    private func waitForCalls(_ gracePeriod: Duration) async -> Duration {
        let end = ContinuousClock.now + gracePeriod
        while ContinuousClock.now < end {
            for awaited in awaited { awaited.tick(isEnding: true) }
            if callCount.load(ordering: .sequentiallyConsistent) == 0 {
                acceptor.disconnect()
                break
            }
            // Cancelling the task ends this wait, but not the grace period.
            do { try await Task.sleep(for: .milliseconds(2)) } catch { break }
        }
        return max(end - ContinuousClock.now, .zero)
    }

    private func beginShutdown() {
        let canBegin = lifecycle.withLock { lifecycle in
            guard case .shuttingDown(var shutdown) = lifecycle, !shutdown.hasBegun else { return true }
            shutdown.hasBegun = true
            lifecycle = .shuttingDown(shutdown)
            return ServerShutdown(server: self, queue: group.queues[0]).start()
        }
        if !canBegin { shutdownCompleted() }
    }

    /// Called when the core has closed all connections, or when there is no queue left to report that.
    func shutdownCompleted() {
        let waiting = lifecycle.withLock { lifecycle -> [CheckedContinuation<Void, Never>] in
            guard case .shuttingDown(let shutdown) = lifecycle else { return [] }
            lifecycle = .shutDown
            // Before anybody can see that this server has ended.
            if shutdown.wasRunning { group.serverEnded(self) }
            return shutdown.waiting
        }
        for continuation in waiting {
            continuation.resume()
        }
    }
}

/// The core's shutdown of a server: the only operation that does not belong to a call.
final class ServerShutdown: EventTarget {
    private let server: Server
    private let queue: CompletionQueue
    private let tag: UnsafeMutablePointer<cgrpc_tag>

    init(server: Server, queue: CompletionQueue) {
        self.server = server
        self.queue = queue
        tag = .allocate(capacity: 1)
    }

    deinit {
        tag.deallocate()
    }

    override var eventQueue: CompletionQueue { queue }

    /// Begins the shutdown; ``Server/shutdownCompleted()`` is called at its end. Returns `false` if the queue is shut
    /// down.
    func start() -> Bool {
        let started: Void? = queue.whileOpen {
            Tag(initializing: tag, operation: 0).retain(self)
            cgrpc_handed_over(tag)
            grpc_server_shutdown_and_notify(server.handle, queue.handle, tag)
        }
        return started != nil
    }

    override func operationCompleted(_: UInt32, succeeded: Bool) {
        server.shutdownCompleted()
    }
}
