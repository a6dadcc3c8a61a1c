import Logging
import Messenger

extension ClientSettings {
    /// Reads the file with the client's own token; `nil` if it shows none.
    func serverToken() throws(StartError) -> ServerToken? {
        guard let path = tokenFile.path else { return nil }
        return try ServerToken(file: path)
    }

    /// Reads the file of tokens for HTTP; `nil` if requests need none.
    func httpAccessTokens() throws(StartError) -> AccessTokens? {
        guard let path = httpTokensFile.path else { return nil }
        return try AccessTokens(file: path, setting: "MESSENGER_HTTP_TOKENS_FILE")
    }

    /// Says at the start that something is open, or crosses the network in clear.
    func noticeAccess(_ logger: Logger) {
        logger.noticeAccess(
            hasTokens: httpTokensFile != .none,
            isPrivate: httpHost.isLoopback,
            tokens: "MESSENGER_HTTP_TOKENS_FILE",
            encryption: "MESSENGER_HTTP_HOST"
        )
        if tokenFile != .none, tlsAuthorities == .none, !serverAddress.isLoopback {
            logger.warning(
                "this client's token crosses the network without encryption",
                metadata: ["setting": "MESSENGER_TLS_CA"]
            )
        }
    }
}
