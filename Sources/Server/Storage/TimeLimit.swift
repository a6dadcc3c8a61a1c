/// Waits for work, but no longer than a limit. After that the work goes on alone.
/// - Returns: Whether it is done.
func finishes(within limit: Duration, _ work: @escaping @Sendable () async -> Void) async -> Bool {
    let (results, result) = AsyncStream.makeStream(of: Bool.self)
    Task {
        await work()
        result.yield(true)
    }
    let timer = Task {
        try? await Task.sleep(for: limit)
        result.yield(false)
    }
    defer { timer.cancel() }
    return await results.first { _ in true } ?? false
}
