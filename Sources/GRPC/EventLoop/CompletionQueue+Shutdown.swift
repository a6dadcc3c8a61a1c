internal import CGRPC

// The gate that all starts of operations pass, and what happens when it has been closed.

extension CompletionQueue {
    /// Starts operations, if that is still possible; else returns `nil`.
    func whileOpen<Result>(_ start: () -> Result) -> Result? {
        if isCurrent, !isPolling, holdsGate { return start() }
        guard gate.enter() else { return nil }
        defer { leaveGate() }
        return start()
    }

    func leaveGate() {
        if gate.leave() { shutDownHandles() }
    }

    /// Lets no more operations be started, waits for those in flight, and ends the thread.
    ///
    /// Every call on the queue must have ended or been cancelled, or this waits for it.
    func shutDown() async {
        close()
        await mailbox.waitForEnd()
    }

    /// As ``shutDown()``, without waiting.
    func close() {
        if gate.close() { shutDownHandles() }
    }

    /// The callback queues first: their last events need this queue's thread.
    private func shutDownHandles() {
        let queues = streamQueues.close()
        // One more than there are queues, so that it also ends where there are none.
        let remaining = Countdown(queues.count + 1) { [self] in
            if wakeupGate.close() { grpc_completion_queue_shutdown(handle) }
        }
        for queue in queues {
            queue.shutDown { remaining.countDown() }
        }
        remaining.countDown()
    }
}
