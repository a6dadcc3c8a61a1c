internal import CGRPC
internal import Synchronization

/// What gRPC's core has to say for its own diagnostics. Without a handler it writes to standard error.
public enum CoreLog {
    /// How serious a message is.
    public enum Severity: Sendable, Hashable {
        case debug, info, error
    }

    /// Takes one message; `source` is the file and line in the core that it comes from.
    public typealias Handler = @Sendable (_ severity: Severity, _ message: String, _ source: String) -> Void

    private static let handler = Mutex<Handler?>(nil)

    /// What the source of those messages begins with that are not the core's but this library's, for an operator.
    public static let ownSource = "GRPC/"

    /// Says something for an operator, in the way that the core does.
    static func error(_ message: String, file: String = #fileID, line: Int32 = #line) {
        cgrpc_log_error(file, line, message)
    }

    /// Sends the core's messages to `handler` from now on, on whichever thread they arise; `handler` must not call gRPC, nor
    /// resume a task that runs on a ``CompletionQueue``: the core may hold locks.
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
