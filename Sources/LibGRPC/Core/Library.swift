internal import CGRPC
internal import CGRPCTuning
internal import Glibc
internal import Synchronization

/// gRPC's core library: initialised once, never shut down.
///
/// `grpc_shutdown` waits for the core's own threads. One of them polls for up to ten seconds if a peer has not read
/// what it was sent. Whoever drops the last handle would have to call it, on whatever thread. Without handles the core
/// keeps only a few idle threads.
enum Library {
    /// Must precede any other call of the core. Thread-safe.
    static func initialize() { _ = initialized }

    private static let initialized: Void = {
        CoreEnvironment.clean()
        grpc_init()
        if let warning = CoreVersion.linked.warning { CoreLog.error(warning) }
    }()
}

/// A version of the core, and whether the binding knows that version's private structure.
///
/// The binding uses four things that are no public API. With an unknown core, public API replaces them:
///
/// | private | instead |
/// |---|---|
/// | the hook for sockets (`grpc_socket_mutator`) | channels do not combine writes, nor count or close connections |
/// | the hand-over of TLS connections (a C++ vtable) | the core accepts them, without a limit |
/// | the poll strategy, which drives callback queues without a thread | streams use the queues of the event loops |
/// | the layout of abseil's `string_view` | the size of `:authority` does not count as metadata |
struct CoreVersion: Sendable {
    /// The core's own version, not that of the gRPC release: gRPC 1.51 has core 29.
    let text: String
    let isKnown: Bool

    init(_ text: String) {
        self.text = text
        isKnown = text.hasPrefix("29.")
    }

    static let linked = CoreVersion(String(cString: grpc_version_string()))

    /// For the log, once; `nil` for a known version.
    var warning: String? {
        isKnown ? nil : "gRPC core \(text) is unknown to this library, which uses only public API with it and is slower"
    }
}

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

    /// Removes variables that break this library from the environment, once. Returns the names of those that were set.
    ///
    /// The library does this before it starts the core. Call it earlier, while the process has one thread: another
    /// thread that reads the environment at the same moment may read garbage.
    @discardableResult
    public static func clean() -> [String] { cleaned }

    private static let cleaned = harmful.filter { variable in
        guard getenv(variable) != nil else { return false }
        unsetenv(variable)
        return true
    }
}

/// Settings of libraries below gRPC's core, which hold for the whole process. So the program chooses them, at its start.
public enum CoreTuning {
    /// Switches off abseil's search for lock cycles. Debian builds abseil with debug checks: at every lock it searches
    /// for a cycle, which takes a seventh of a unary call's instructions. Does nothing in a build without them.
    public static func skipDeadlockDetection() { cgrpc_disable_deadlock_detection() }
}

/// The log of gRPC's core. Without a handler the core writes to standard error.
public enum CoreLog {
    /// How serious a message is.
    public enum Severity: Sendable, Hashable {
        case debug, info, error
    }

    /// Receives one message. `source` is its file and line in the core.
    public typealias Handler = @Sendable (_ severity: Severity, _ message: String, _ source: String) -> Void

    private static let handler = Mutex<Handler?>(nil)

    /// How the source of a message begins if the message comes from this library instead of the core.
    public static let ownSource = "LibGRPC/"

    /// Logs an error of this library the way the core logs its own.
    static func error(_ message: String, file: String = #fileID, line: Int32 = #line) {
        cgrpc_log_error(file, line, message)
    }

    /// Sends the core's messages to `handler` from now on.
    ///
    /// The core calls it on any thread and may hold locks. So `handler` must not call gRPC, nor resume a task that runs
    /// on a ``CompletionQueue``.
    public static func setHandler(_ handler: @escaping Handler) {
        self.handler.withLock { $0 = handler }
        gpr_set_log_function { arguments in
            guard let arguments = arguments?.pointee, let text = arguments.message, let file = arguments.file else {
                return
            }
            let severity: Severity =
                switch arguments.severity {
                case GPR_LOG_SEVERITY_ERROR: .error
                case GPR_LOG_SEVERITY_INFO: .info
                default: .debug
                }
            let handler = CoreLog.handler.withLock { $0 }
            handler?(severity, String(cString: text), "\(String(cString: file)):\(arguments.line)")
        }
    }
}
