import Synchronization

/// A one-shot latch: closed at first, then open for good. Any number of tasks can wait for it.
final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [Int: @Sendable (_ isOpen: Bool) -> Void] = [:]
        var lastID = 0

        mutating func nextID() -> Int {
            lastID += 1
            return lastID
        }
    }

    private let state = Mutex(State())

    var isOpen: Bool { state.withLock { $0.isOpen } }

    var waiterCount: Int { state.withLock { $0.waiters.count } }

    /// Opens the latch and resumes all waiters. Does nothing the second time.
    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            return exchange(&state.waiters, with: [:])
        }
        for waiter in waiters.values { waiter(true) }
    }

    /// Waits until the latch is open.
    ///
    /// - Returns: `false` if the task was cancelled first.
    func wait() async -> Bool {
        let id = state.withLock { $0.nextID() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let result = state.withLock { state -> Bool? in
                    if state.isOpen { return true }
                    // The cancellation handler may have run before the waiter was registered.
                    if Task.isCancelled { return false }
                    state.waiters[id] = { continuation.resume(returning: $0) }
                    return nil
                }
                if let result { continuation.resume(returning: result) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?(false)
        }
    }

    /// Waits until the latch is open, but no longer than `timeout`.
    ///
    /// - Returns: `false` if the time was up or the task was cancelled first.
    func wait(timeout: Duration) async -> Bool {
        if isOpen { return true }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await self.wait() }
            group.addTask {
                try? await Task.sleep(for: timeout)
                return self.isOpen
            }
            defer { group.cancelAll() }
            return await group.next() ?? isOpen
        }
    }
}
