internal import CGRPC

/// What one side of a TLS connection shows the other: a certificate, and the key that proves it is its own.
public struct TLSIdentity: Sendable, Hashable {
    /// The certificate, followed by those of the intermediate authorities that signed it.
    public var certificateChain: PEM
    /// The private key of the first certificate, without a password.
    public var privateKey: PEM

    /// Takes both as they are; that they fit together is found out when a server starts or a channel connects.
    public init(certificateChain: PEM, privateKey: PEM) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
    }

    /// Passes the core's form, which is valid during the call only.
    func withCorePair<Result>(_ body: (UnsafeMutablePointer<grpc_ssl_pem_key_cert_pair>) -> Result) -> Result {
        privateKey.text.withCString { key in
            certificateChain.text.withCString { chain in
                var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
                return body(&pair)
            }
        }
    }
}
