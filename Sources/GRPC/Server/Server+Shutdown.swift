internal import CGRPC
internal import Synchronization

// The end of a server: first of its calls, then of its connections, last of the core's server.

extension Server {
    /// Stops listening, refuses new calls with `UNAVAILABLE`, and lets open calls go on for up to `gracePeriod`. Ends all
    /// connections when no call is open any more. After the grace period, cancels the calls that are left, and half a
    /// second later ends the connections that have not sent everything: their peers do not read.
    ///
    /// Returns when all connections are closed. The handlers' tasks have been cancelled then, or are about to be; one that
    /// does not heed that may still be running. Call it before the shutdown of the group. The shortest grace period counts,
    /// if it is called several times.
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
        // The core would cancel calls that come after it has been told, so that comes last.
        let grace = await waitForCalls(gracePeriod)
        for task in ticking.withLock(\.self) { task.cancel() }
        beginShutdown()
        // The core takes a cancellation only after that.
        let cancellation = Task {
            try await Task.sleep(for: grace)
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

    /// Waits until no call is open, and ends all connections then: whatever is on its way on them would be refused, and a
    /// client whose connection ends sees `UNAVAILABLE` too. Returns what is left of the grace period.
    private func waitForCalls(_ gracePeriod: Duration) async -> Duration {
        let end = ContinuousClock.now + gracePeriod
        while ContinuousClock.now < end {
            for awaited in awaited { awaited.tick(isEnding: true) }
            if callCount.load(ordering: .sequentiallyConsistent) == 0 {
                acceptor.disconnect()
                break
            }
            try? await Task.sleep(for: .milliseconds(2))
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

    /// The core has let go of all connections, or there is no queue any more on which it could say so.
    func shutdownCompleted() {
        let waiting = lifecycle.withLock { lifecycle -> [CheckedContinuation<Void, Never>] in
            guard case .shuttingDown(let shutdown) = lifecycle else { return [] }
            lifecycle = .shutDown
            // Before anybody can see that this server has ended.
            if shutdown.wasRunning { group.serverEnded() }
            return shutdown.waiting
        }
        for continuation in waiting {
            continuation.resume()
        }
    }
}
