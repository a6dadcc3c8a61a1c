internal import GRPC
public import Logging

extension Diagnostics {
    /// Sends what gRPC's core says to a logger, as debug events: what matters of it reaches the programs as errors of
    /// their calls, and the core writes whole lines of its source's names to standard error otherwise.
    public static func forwardCoreLog(to logger: Logger) {
        let ignored = CoreEnvironment.clean()
        if !ignored.isEmpty {
            logger.warning(
                "gRPC's environment variables are ignored",
                metadata: ["variables": "\(ignored.joined(separator: ","))"]
            )
        }
        CoreLog.setHandler { _, message, source in
            // What the core says concerns its authors, but for what the binding adds.
            if source.hasPrefix(CoreLog.ownSource) {
                logger.warning("\(message)")
            } else {
                logger.debug("gRPC core: \(message)", metadata: ["source": "\(source)"])
            }
        }
    }
}
