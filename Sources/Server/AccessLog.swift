import GRPC
import Logging

/// Logs each call when it has ended: at debug level if it went well, at info level otherwise.
enum AccessLog {
    static func interceptor(_ logger: Logger) -> ServerInterceptor {
        { context in
            // A copy of the context keeps its call alive, so what the line needs is taken now.
            let (path, peer, start) = (context.path, context.peer, ContinuousClock.now)
            return { status in
                let level: Logger.Level = status.code == .ok || status.code == .cancelled ? .debug : .info
                logger.log(
                    level: level,
                    "call ended",
                    metadata: [
                        "method": "\(path)", "peer": "\(peer)", "status": "\(status.code)",
                        "duration": "\(ContinuousClock.now - start)",
                    ]
                )
            }
        }
    }
}
