import COpenSSL
import Glibc

/// Whose certificates connections trust. Thread-safe.
public final class RedisTLS: Sendable {
    /// OpenSSL counts its users with atomic operations. Nothing changes it after `init`.
    nonisolated(unsafe) fileprivate let context: OpaquePointer

    /// - Parameter authorities: A PEM file; `nil` for the authorities that the system trusts.
    public init(authorities: String? = nil) throws(RedisError) {
        guard let context = SSL_CTX_new(TLS_client_method()) else {
            throw RedisError(description: "OpenSSL: \(TLSSession.reason)")
        }
        self.context = context
        ERR_clear_error()
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        let isReady =
            messenger_require_tls_1_2(context) == 1
            && (authorities.map { SSL_CTX_load_verify_file(context, $0) }
                ?? SSL_CTX_set_default_verify_paths(context)) == 1
        guard isReady else { throw RedisError(description: "there are no usable certificates: \(TLSSession.reason)") }
    }

    deinit {
        SSL_CTX_free(context)
    }
}

/// TLS on a connected socket, whose timeouts apply. For one thread at a time.
final class TLSSession {
    private let session: OpaquePointer
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)
    private(set) var hasFailed = false

    /// Shakes hands. Refuses a certificate that is not for `name`, a host name or an IP address.
    init(_ tls: RedisTLS, on descriptor: Int32, name: String) throws(RedisError) {
        guard let session = SSL_new(tls.context) else { throw RedisError(description: "no memory for a connection") }
        self.session = session
        ERR_clear_error()
        SSL_set_fd(session, descriptor)
        if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) != 1 {
            // Neither may fail: without a name, any certificate would do.
            guard SSL_set1_host(session, name) == 1, messenger_set_server_name(session, name) == 1 else {
                throw RedisError(description: "TLS: \(name) is no name for a host")
            }
        }
        let result = SSL_connect(session)
        guard result != 1 else { return }
        let verification = SSL_get_verify_result(session)
        if verification != Int(X509_V_OK) {
            let reason = String(cString: X509_verify_cert_error_string(verification))
            throw RedisError(description: "TLS: the certificate of Redis is refused: \(reason)")
        }
        throw error(result)
    }

    deinit {
        SSL_free(session)
    }

    func write(_ bytes: [UInt8]) throws(RedisError) {
        guard !bytes.isEmpty else { return }
        var written = 0
        ERR_clear_error()
        let result = SSL_write_ex(session, bytes, bytes.count, &written)
        guard result == 1 else { throw error(result) }
    }

    /// Waits for bytes, and gives them to `body`.
    func read(_ body: (UnsafePointer<CChar>, Int) -> Void) throws(RedisError) {
        var count = 0
        ERR_clear_error()
        let result = SSL_read_ex(session, &buffer, buffer.count, &count)
        guard result == 1 else { throw error(result) }
        buffer.withUnsafeBytes { bytes in
            if let start = bytes.assumingMemoryBound(to: CChar.self).baseAddress { body(start, count) }
        }
    }

    private func error(_ result: Int32) -> RedisError {
        let systemError = errno
        hasFailed = true
        switch SSL_get_error(session, result) {
        case SSL_ERROR_ZERO_RETURN: return .closed
        // The socket blocks, so it wants more only after its timeout.
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .noAnswer
        case SSL_ERROR_SYSCALL:
            return systemError == 0 ? .closed : RedisError(description: String(cString: strerror(systemError)))
        default: return messenger_is_unexpected_eof() == 1 ? .closed : RedisError(description: "TLS: \(Self.reason)")
        }
    }

    /// OpenSSL's last error on this thread.
    fileprivate static var reason: String {
        ERR_reason_error_string(ERR_peek_last_error()).map { String(cString: $0) } ?? "unknown error"
    }
}

extension RedisError {
    /// The system's message for a timeout would be "Resource temporarily unavailable".
    static let noAnswer = RedisError(description: "Redis does not answer")
    /// hiredis's words.
    static let closed = RedisError(description: "Server closed the connection")
}
