internal import Glibc

/// What gRPC's core reads from the environment of the process.
public enum CoreEnvironment {
    /// Variables that break this library, abort the process, or weaken its encryption.
    private static let harmful = [
        // "poll" breaks streams, which need epoll. "none" and unknown names abort.
        "GRPC_POLL_STRATEGY",
        "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS",
        "GRPC_EXPERIMENTS",
        "GRPC_ENABLE_FORK_SUPPORT",
        "GRPC_ABORT_ON_LEAKS",
        "GRPC_SSL_CIPHER_SUITES",
    ]

    /// Removes those variables from the environment, once, and returns which there were.
    ///
    /// The library does this before it starts the core. Call it earlier, while the process has one thread: another one
    /// that reads the environment at the same moment may read garbage.
    @discardableResult
    public static func clean() -> [String] { cleaned }

    private static let cleaned = harmful.filter { variable in
        guard getenv(variable) != nil else { return false }
        unsetenv(variable)
        return true
    }
}
