public import GRPC

extension Setting where Value == FilePath {
    /// `MESSENGER_TLS_CERT`: the program's own certificate.
    public static var tlsCertificate: Self {
        Setting(
            "MESSENGER_TLS_CERT",
            default: .none,
            summary: "PEM file with the program's certificate, and those of the authorities between it and the root."
        )
    }

    /// `MESSENGER_TLS_KEY`: its key.
    public static var tlsKey: Self {
        Setting("MESSENGER_TLS_KEY", default: .none, summary: "PEM file with the private key of the certificate.")
    }
}

extension Setting {
    /// Reads the certificates in a file that this setting names.
    public func certificates(inFile path: String) throws(StartError) -> PEM {
        let pem = try read(path)
        guard pem.holdsCertificate else {
            throw StartError(.badConfiguration, "\(variable): there is no certificate in \(path)")
        }
        return pem
    }

    fileprivate func read(_ path: String) throws(StartError) -> PEM {
        do {
            return try PEM(contentsOfFile: path)
        } catch {
            throw StartError(.badConfiguration, "\(variable): \(error)")
        }
    }
}

extension TLSIdentity {
    /// Reads what `MESSENGER_TLS_CERT` and `MESSENGER_TLS_KEY` name; `nil` if they name nothing.
    public init?(certificate: FilePath, key: FilePath) throws(StartError) {
        guard certificate.path != nil || key.path != nil else { return nil }
        guard let certificate = certificate.path, let key = key.path else {
            throw StartError(.badConfiguration, "MESSENGER_TLS_CERT and MESSENGER_TLS_KEY must be set together")
        }
        let privateKey = try Setting.tlsKey.read(key)
        guard privateKey.holdsPrivateKey else {
            throw StartError(.badConfiguration, "MESSENGER_TLS_KEY: there is no key without a password in \(key)")
        }
        self.init(
            certificateChain: try Setting.tlsCertificate.certificates(inFile: certificate),
            privateKey: privateKey
        )
    }
}
