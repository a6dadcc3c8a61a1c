import Synchronization

/// Something that happens once, and that any number of tasks and callbacks can wait for.
///
/// Every wait ends: with the opening, with the task's cancellation or with its timeout, whichever comes first.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: @Sendable (Bool) -> Void] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    /// Whether the gate has been opened.
    var isOpen: Bool {
        self.state.withLock { $0.isOpen }
    }

    /// How many wait now.
    var waiterCount: Int {
        self.state.withLock { $0.waiters.count }
    }

    /// Opens the gate for ever and lets all who wait go on; does nothing the second time.
    func open() {
        let waiters = self.state.withLock { state in
            state.isOpen = true
            return exchange(&state.waiters, with: [:])
        }
        for waiter in waiters.values {
            waiter(true)
        }
    }

    /// Calls back once the gate is open: at once, or on the thread that opens it.
    ///
    /// - Returns: Ends the wait.
    func whenOpen(_ action: @escaping @Sendable () -> Void) -> Cancellation {
        let id = self.state.withLock { state -> Int? in
            if state.isOpen { return nil }
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = { if $0 { action() } }
            return state.nextWaiter
        }
        guard let id else {
            action()
            return {}
        }
        return { self.state.withLock { $0.waiters[id] = nil } }
    }

    /// Waits for the opening.
    ///
    /// - Returns: Whether the gate is open: `false` when the task was cancelled before.
    func wait() async -> Bool {
        let id = self.state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = self.state.withLock { state -> Bool? in
                    if state.isOpen { return true }
                    // The cancellation handler may have run before there was anything for it to find.
                    if Task.isCancelled { return false }
                    state.waiters[id] = { continuation.resume(returning: $0) }
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            self.state.withLock { $0.waiters.removeValue(forKey: id) }?(false)
        }
    }

    /// Waits for the opening, but no longer than `timeout`.
    ///
    /// - Returns: Whether the gate is open: `false` when the time was up or the task was cancelled before.
    func wait(atMost timeout: Duration) async -> Bool {
        await self.wait(atMost: timeout, clock: ContinuousClock())
    }

    /// Waits for the opening, but no longer than `timeout` by the given clock.
    func wait(atMost timeout: Duration, clock: some Clock<Duration>) async -> Bool {
        if self.isOpen { return true }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait() }
            group.addTask {
                try? await clock.sleep(for: timeout)
                return self.isOpen
            }
            defer { group.cancelAll() }
            return await group.next() ?? self.isOpen
        }
    }
}
