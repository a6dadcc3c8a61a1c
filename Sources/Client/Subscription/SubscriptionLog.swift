import LibGRPC
import Logging
import Messenger

/// Logs what happens to the stream.
struct SubscriptionLog: Sendable {
    let logger: Logger

    func opened(_ stream: SubscriptionState.OpenedStream) {
        var metadata: Logger.Metadata = ["after": "\(stream.after.map(\.description) ?? "none")"]
        if stream.failures > 0 { metadata["failures"] = "\(stream.failures)" }
        logger.info("stream open", metadata: metadata)
    }

    /// - Parameter isFirst: Whether no stream has been open yet.
    func ended(_ error: RPCError?, _ retry: SubscriptionState.Retry, isFirst: Bool) {
        // A server's text may be long.
        let reason = (error?.description ?? "the server ended the stream").utf8.prefix(512)
        var metadata: Logger.Metadata = [
            "reason": "\(String(decoding: reason, as: UTF8.self))",
            "retryIn": "\(Int(retry.delay / .milliseconds(1)))ms",
        ]
        guard let failures = retry.failures else {
            return logger.debug("stream still not open", metadata: metadata)
        }
        if failures > 1 { metadata["failures"] = "\(failures)" }
        if error?.code == .unauthenticated || error?.code == .permissionDenied {
            metadata["setting"] = "MESSENGER_TOKEN_FILE"
            logger.error("the server refuses this client's token", metadata: metadata)
        } else if retry.hasGap {
            logger.error("messages lost", metadata: metadata)
        } else if isFirst {
            logger.warning("stream not open yet", metadata: metadata)
        } else {
            logger.warning("stream broken", metadata: metadata)
        }
    }
}
