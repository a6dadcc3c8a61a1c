public import ArgumentParser
public import LibGRPC
public import Logging

/// The settings that both programs have.
public struct SharedSettings: ParsableArguments, Sendable {
    @Option("MESSENGER_MAX_AUTHOR_BYTES", in: 1 ... .longestAuthor, "Longest author of a message, in bytes of UTF-8.")
    public var maxAuthorBytes: ByteCount = 256

    @Option(
        "MESSENGER_MAX_TEXT_BYTES",
        in: 1 ... .longestText,
        "Longest text of a message, in bytes of UTF-8. Set it to the same value for server and client."
    )
    public var maxTextBytes: ByteCount = .kibibytes(64)

    @Option(
        "MESSENGER_TLS_CERT",
        """
        PEM file with the program's certificate, followed by the certificates of intermediate authorities. With it the \
        server's port accepts only TLS. The client shows it to a server that requires a certificate; it needs \
        MESSENGER_TLS_CA too.
        """
    )
    public var tlsCertificate: FilePath = .none

    @Option("MESSENGER_TLS_KEY", "PEM file with the private key of the certificate, without a password.")
    public var tlsKey: FilePath = .none

    @Option("MESSENGER_LOG_LEVEL", "Lowest level that is logged to standard error.")
    public var logLevel: Logger.Level = .info

    @Option("MESSENGER_LOG_FORMAT", "Form of the lines: text for people, json for programs. The keys are the same.")
    public var logFormat: LogFormat = .text

    public init() {}

    /// How long a message's author and text may be.
    public var messageLimits: MessageLimits {
        MessageLimits(authorBytes: maxAuthorBytes.bytes, textBytes: maxTextBytes.bytes)
    }

    /// Reads the files with the certificate and its key; `nil` if neither is set.
    public func tlsIdentity() throws(StartError) -> TLSIdentity? {
        guard tlsCertificate.path != nil || tlsKey.path != nil else { return nil }
        guard let certificate = tlsCertificate.path, let keyPath = tlsKey.path else {
            throw StartError(.badConfiguration, "MESSENGER_TLS_CERT and MESSENGER_TLS_KEY must be set together")
        }
        let key = try PEM(in: keyPath, setting: "MESSENGER_TLS_KEY")
        guard key.holdsPrivateKey else {
            throw StartError(.badConfiguration, "MESSENGER_TLS_KEY: there is no key without a password in \(keyPath)")
        }
        let chain = try PEM(certificatesIn: certificate, setting: "MESSENGER_TLS_CERT")
        let identity = TLSIdentity(certificateChain: chain, privateKey: key)
        guard identity.isConsistent else {
            throw StartError(
                .badConfiguration,
                "MESSENGER_TLS_CERT and MESSENGER_TLS_KEY: the certificate and key cannot be used together"
            )
        }
        return identity
    }
}

extension PEM {
    /// Reads a file with certificates.
    ///
    /// - Parameter setting: The variable that errors name.
    public init(certificatesIn path: String, setting: String) throws(StartError) {
        try self.init(in: path, setting: setting)
        guard holdsCertificate, beginsWithCertificate else {
            throw StartError(.badConfiguration, "\(setting): there is no certificate in \(path)")
        }
    }

    fileprivate init(in path: String, setting: String) throws(StartError) {
        do {
            self = try PEM(contentsOfFile: path)
        } catch {
            throw StartError(.badConfiguration, "\(setting): \(error)")
        }
    }
}

extension ByteCount {
    fileprivate static let longestAuthor = kibibytes(64)
    fileprivate static let longestText = mebibytes(1)
}

extension MessageLimits {
    /// The highest limits that settings allow. No server accepts a longer message, and clients can receive these.
    public static let highest = MessageLimits(
        authorBytes: ByteCount.longestAuthor.bytes,
        textBytes: ByteCount.longestText.bytes
    )
}
