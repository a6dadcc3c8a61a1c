/// Lets other tasks run until something has come true. Bounded by the test's time limit.
func waitUntil(_ condition: () -> Bool) async throws {
    while !condition() {
        try Task.checkCancellation()
        await Task.yield()
    }
}
