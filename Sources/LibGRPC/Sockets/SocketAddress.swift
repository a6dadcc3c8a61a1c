internal import CGRPC
internal import Glibc

/// An IPv4, IPv6 or Unix socket address, in the system's form.
struct SocketAddress: Sendable {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    var family: Int32 { Int32(storage.ss_family) }

    /// The port, which IPv4 and IPv6 store at the same offset; 0 for a Unix socket.
    var port: UInt16 {
        get {
            guard family != AF_UNIX else { return 0 }
            return withPointer { address, _ in
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt16(bigEndian: $0.pointee.sin_port) }
            }
        }
        set {
            withMutablePointer { address, _ in
                address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                    $0.pointee.sin_port = newValue.bigEndian
                }
            }
        }
    }

    /// The addresses of a text: one, or all that a host name has. Blocks while it resolves a name.
    ///
    /// - Parameter text: `HOST:PORT`, `[IPv6]:PORT`, or `*:PORT` for all addresses of both families.
    /// - Returns: At least one address, without duplicates.
    /// - Throws: If there is none.
    static func resolve(_ text: String) throws(SystemError) -> [SocketAddress] {
        if text.hasPrefix("*:") {
            let port = text.dropFirst(2)
            return try resolve("0.0.0.0:\(port)") + resolve("[::]:\(port)")
        }
        let action = "listening on \(text)"
        guard let separator = text.lastIndex(of: ":"), UInt16(text[text.index(after: separator)...]) != nil else {
            throw SystemError(doing: action, errno: EINVAL)
        }
        var host = String(text[..<separator])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(text[text.index(after: separator)...]), &hints, &list)
        guard code == 0 else {
            throw SystemError(doing: action, errno: EADDRNOTAVAIL, reason: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var texts: [[UInt8]] = []
        var next = list
        while let info = next?.pointee {
            let address = SocketAddress(info)
            let text = Array(address.text.utf8)
            // `/etc/hosts` may list an address more than once.
            if !texts.contains(text) {
                addresses.append(address)
                texts.append(text)
            }
            next = info.ai_next
        }
        guard !addresses.isEmpty else { throw SystemError(doing: action, errno: EADDRNOTAVAIL) }
        return addresses
    }

    private init(_ info: addrinfo) {
        length = info.ai_addrlen
        withUnsafeMutableBytes(of: &storage) { storage in
            storage.copyMemory(from: UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
        }
    }

    /// The address of a Unix socket.
    init(path: String, named text: String) throws(SystemError) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let action = "listening on \(text)"
        guard !path.isEmpty else { throw SystemError(doing: action, errno: EINVAL) }
        // One byte is for the terminating zero.
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(doing: action, errno: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
        withUnsafeMutableBytes(of: &storage) { storage in
            withUnsafeBytes(of: address) { storage.copyMemory(from: $0) }
        }
    }

    /// Space for any address.
    init() {}

    private func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    private mutating func withMutablePointer<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &length) }
        }
    }
}

// MARK: - Sockets

extension SocketAddress {
    /// Makes a socket listen here. Returns its address; the system chooses the port if it is 0 here.
    func listen(_ socket: Int32, as text: String) throws(SystemError) -> SocketAddress {
        var bound = SocketAddress()
        guard withPointer({ bind(socket, $0, $1) }) == 0, Glibc.listen(socket, SOMAXCONN) == 0,
            bound.withMutablePointer({ getsockname(socket, $0, $1) }) == 0
        else { throw SystemError(doing: "listening on \(text)", errno: errno) }
        return bound
    }

    /// Whether nobody listens here.
    func refusesConnections() -> Bool {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let probe = socket(family, type, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return withPointer { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    /// Accepts a waiting connection without blocking, and stores the peer's address in `self`. Returns a descriptor, or
    /// -1 and `errno`.
    mutating func accept(from socket: Int32) -> Int32 {
        let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        return withMutablePointer { accept4(socket, $0, $1, flags) }
    }
}

extension SocketAddress: CustomStringConvertible {
    /// The address in the core's form, for example `ipv4:127.0.0.1:4242`.
    var description: String {
        switch family {
        case AF_UNIX: "unix:"
        case AF_INET6: "ipv6:\(text)"
        default: "ipv4:\(text)"
        }
    }

    /// The numeric address with its port: `127.0.0.1:4242` or `[::1]:4242`.
    var text: String {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let error = withPointer { getnameinfo($0, $1, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) }
        guard error == 0, let text = String(validating: host.prefix { $0 != 0 }, as: UTF8.self) else {
            return "unknown"
        }
        return family == AF_INET6 ? "[\(text)]:\(port)" : "\(text):\(port)"
    }
}
