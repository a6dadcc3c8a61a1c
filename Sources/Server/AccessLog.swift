import GRPC
import Logging

/// Logs each call when it has ended: as an error where the server is to blame, else for debugging only, since strangers
/// decide how many such lines there are.
enum AccessLog {
    static func interceptor(_ logger: Logger) -> ServerInterceptor {
        ServerInterceptor { context in
            let start = ContinuousClock.now
            return CallObserver { status, cause in
                let isOurFault = [.unknown, .internal, .dataLoss].contains(status.code)
                logger.log(
                    level: isOurFault ? .error : .debug,
                    "call ended",
                    metadata: [
                        "method": "\(context.path)",
                        "peer": "\(context.peer)",
                        "status": "\(status.code)",
                        "error": "\(cause.map { "\($0)" } ?? "none")",
                        "duration": "\(ContinuousClock.now - start)",
                    ]
                )
            }
        }
    }
}
