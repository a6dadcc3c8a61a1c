import Messenger

extension ServerSettings {
    /// Reads the file of tokens; `nil` if calls need none.
    func accessTokens() throws(StartError) -> AccessTokens? {
        guard let path = tokensFile.path else { return nil }
        return try AccessTokens(file: path, setting: "MESSENGER_TOKENS_FILE")
    }

    /// Prints a new token, and its line for the file of tokens, if that is all that is asked for.
    ///
    /// - Returns: Whether it is.
    func printToken() throws(StartError) -> Bool {
        guard let name = makeToken else {
            guard tokenRights == nil, tokenRate == nil else {
                throw StartError(.badUsage, "--token-rights and --token-rate need --make-token")
            }
            return false
        }
        let token = AccessToken.random()
        guard let digest = SHA256.hexDigest(of: Array(token.utf8)) else {
            throw StartError(.unavailable, "OpenSSL does not compute SHA-256 here.")
        }
        let rate = tokenRate.map { " \($0.settingText)" } ?? ""
        let rights = (tokenRights ?? [.read, .send]).settingText
        print(token)
        print("\(name.settingText) \(digest) \(rights)\(rate)")
        return true
    }
}
