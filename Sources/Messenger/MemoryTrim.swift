import CProcess
public import ServiceLifecycle

/// Gives memory that is free again back to the system, every few seconds.
///
/// By itself glibc keeps, for each thread, what was needed once: after a storm of calls that is most of what the process
/// has, and looks like a leak.
public struct MemoryTrim: Service {
    private static let interval = Duration.seconds(10)

    public init() {}

    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                malloc_trim(0)
            }
        }
    }
}
