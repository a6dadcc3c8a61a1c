public import Logging

extension Logger {
    /// Says at the start that a port needs no token, or that tokens for it cross the network in clear.
    ///
    /// - Parameters:
    ///   - tokens: The setting for tokens.
    ///   - encryption: The setting that avoids sending tokens in clear.
    public func noticeAccess(
        hasTokens: Bool,
        isPrivate: Bool,
        tokens: String,
        encryption: String
    ) {
        if !hasTokens {
            info("no token is needed: whoever reaches the port may read and send", metadata: ["setting": "\(tokens)"])
        } else if !isPrivate {
            warning("tokens cross the network without encryption", metadata: ["setting": "\(encryption)"])
        }
    }
}

extension ListenHost {
    /// Whether only programs on this machine can connect.
    public var isLoopback: Bool {
        settingText.utf8.elementsEqual("localhost".utf8) || settingText.utf8.elementsEqual("::1".utf8)
            || (settingText.utf8.starts(with: "127.".utf8)
                && settingText.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") })
    }
}
