internal import COpenSSL
public import LibGRPC

// What gRPC's core finds out only when it uses the files.

extension TLSIdentity {
    /// Whether the first certificate can be read, and the key belongs to it.
    public var isConsistent: Bool {
        guard let certificate = certificateChain.read({ PEM_read_bio_X509($0, nil, noPassword, nil) }) else {
            return false
        }
        defer { X509_free(certificate) }
        guard let key = privateKey.read({ PEM_read_bio_PrivateKey($0, nil, noPassword, nil) }) else { return false }
        defer { EVP_PKEY_free(key) }
        return X509_check_private_key(certificate, key) == 1
    }
}

extension PEM {
    /// Whether the first certificate can be read.
    public var beginsWithCertificate: Bool {
        guard let certificate = read({ PEM_read_bio_X509($0, nil, noPassword, nil) }) else { return false }
        X509_free(certificate)
        return true
    }

    /// Lets OpenSSL read the text. The caller frees the result.
    fileprivate func read(_ body: (OpaquePointer?) -> OpaquePointer?) -> OpaquePointer? {
        // Of this thread; what is wrong is not needed.
        defer { ERR_clear_error() }
        var text = text
        return text.withUTF8 { bytes in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            return body(source)
        }
    }
}

/// OpenSSL would ask for a password at the terminal.
private let noPassword: @convention(c) (UnsafeMutablePointer<CChar>?, Int32, Int32, UnsafeMutableRawPointer?) -> Int32 =
    {
        _,
        _,
        _,
        _ in 0
    }
