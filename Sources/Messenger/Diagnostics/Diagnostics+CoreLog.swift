internal import GRPC
public import Logging
internal import Synchronization

extension Diagnostics {
    /// Sends what gRPC's core says to a logger, as debug events: what matters of it reaches the programs as errors of
    /// their calls, and the core writes whole lines of its source's names to standard error otherwise.
    ///
    /// - Parameter isServer: Whether failed TLS handshakes are written: a server's clients that do not get in call nothing.
    public static func forwardCoreLog(to logger: Logger, isServer: Bool = false) {
        let ignored = CoreEnvironment.clean()
        if !ignored.isEmpty {
            logger.warning(
                "gRPC's environment variables are ignored",
                metadata: ["variables": "\(ignored.joined(separator: ","))"]
            )
        }
        let budget = Mutex(LineBudget(perMinute: 10))
        CoreLog.setHandler { _, message, source in
            if isServer, let failure = HandshakeFailure(coreLog: message, source: source) {
                let line = "\(failure.reason) \(failure.hosts)"
                if let unwritten = budget.withLock({ $0.take(line, now: .now) }) {
                    logger.log(failure, unwritten: unwritten)
                }
                return
            }
            // What the core says concerns its authors, but for what the binding adds.
            if source.hasPrefix(CoreLog.ownSource) {
                logger.warning("\(message)")
            } else {
                logger.debug("gRPC core: \(message)", metadata: ["source": "\(source)"])
            }
        }
    }
}

extension Logger {
    fileprivate func log(_ failure: HandshakeFailure, unwritten: Int) {
        var metadata: Metadata = ["reason": "\(failure.reason)"]
        if !failure.peers.isEmpty { metadata["peer"] = "\(failure.peers.joined(separator: " or "))" }
        if unwritten > 0 { metadata["unwritten"] = "\(unwritten)" }
        info("TLS handshake failed", metadata: metadata)
    }
}
