#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// Finds out why the core could not listen on an address, which it tells its log only.
enum ListenFailure {
    /// Whether an address has a port, or is a `unix:` path.
    static func isWellFormed(_ address: String) -> Bool {
        if address.hasPrefix("unix:") { return true }
        guard let separator = address.lastIndex(of: ":") else { return false }
        return UInt16(address[address.index(after: separator)...]) != nil
    }

    static func reason(for address: String) -> SystemError {
        let action = "listening on \(address)"
        guard isWellFormed(address), !address.hasPrefix("unix:"), let separator = address.lastIndex(of: ":") else {
            return SystemError(doing: action, errno: address.hasPrefix("unix:") ? EADDRNOTAVAIL : EINVAL)
        }
        var host = String(address[..<separator])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let port = String(address[address.index(after: separator)...])

        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &list) == 0, let first = list else {
            return SystemError(doing: action, errno: EADDRNOTAVAIL)
        }
        defer { freeaddrinfo(list) }
        let socket = socket(first.pointee.ai_family, first.pointee.ai_socktype, 0)
        guard socket >= 0 else { return SystemError(doing: action, errno: errno) }
        defer { close(socket) }
        var on: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let isBound = bind(socket, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 && listen(socket, 1) == 0
        return SystemError(doing: action, errno: isBound ? EADDRINUSE : errno)
    }
}
