#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Finds out why the core could not listen on an address, which it tells its log only: by trying it.
enum ListenFailure {
    /// Whether an address has a port, or is a `unix:` path.
    static func isWellFormed(_ address: String) -> Bool {
        if let path = unixPath(address) { return !path.isEmpty }
        guard let separator = address.lastIndex(of: ":") else { return false }
        return UInt16(address[address.index(after: separator)...]) != nil
    }

    static func reason(for address: ListenAddress) -> ServerStartError {
        var errno = isWellFormed(address.address) ? tryBinding(address.address) : EINVAL
        // The address is good, then, so it was what comes with it; else somebody had it a moment ago.
        if errno == 0 {
            guard address.credentials.isInsecure else { return .badCredentials(address: address.address) }
            errno = EADDRINUSE
        }
        return .cannotListen(SystemError(doing: "listening on \(address.address)", errno: errno))
    }

    private static func unixPath(_ address: String) -> Substring? {
        address.hasPrefix("unix:") ? address.dropFirst("unix:".count) : nil
    }

    /// Binds a socket to the address for a moment. Returns the system's error number, 0 for none.
    private static func tryBinding(_ address: String) -> Int32 {
        if let path = unixPath(address) { return tryBinding(path: String(path)) }
        guard let separator = address.lastIndex(of: ":") else { return EINVAL }
        var host = String(address[..<separator])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let port = String(address[address.index(after: separator)...])

        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &list) == 0, let first = list else { return EADDRNOTAVAIL }
        defer { freeaddrinfo(list) }
        return tryBinding(first.pointee.ai_addr, first.pointee.ai_addrlen)
    }

    private static func tryBinding(path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let error = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                tryBinding($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // Only what this bound itself: a file that was there is an error.
        if error == 0 { unlink(path) }
        return error
    }

    private static func tryBinding(_ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
        let socket = socket(Int32(address.pointee.sa_family), Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return errno }
        defer { close(socket) }
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        return bind(socket, address, length) == 0 && listen(socket, 1) == 0 ? 0 : errno
    }
}
