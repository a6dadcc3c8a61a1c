internal import CGRPC

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

extension ListenAddress {
    /// Whether the server accepts the connections itself, rather than the core.
    var isPlainTCP: Bool { credentials.isInsecure && !address.hasPrefix("unix:") }

    /// Listens with sockets of our own, at least one.
    func listen() throws(ServerStartError) -> [ListeningSocket] {
        do {
            return try ListeningSocket.listen(on: address)
        } catch {
            throw .cannotListen(error)
        }
    }

    /// Lets the core listen. Returns the port.
    func listen(with server: OpaquePointer) throws(ServerStartError) -> Int {
        // The core tells its log only why it could not: so what it does is tried first.
        var error: Int32 = 0
        if address.hasPrefix("unix:") {
            error = tryBinding(path: String(address.dropFirst("unix:".count)))
        } else {
            // Left to itself, the core takes an address without a port for one with the port of HTTPS.
            for socket in try listen() { socket.close() }
        }
        guard error == 0 else {
            throw .cannotListen(SystemError(doing: "listening on \(address)", errno: error))
        }
        let port = credentials.withHandle { grpc_server_add_http2_port(server, address, $0) }
        if port > 0 { return Int(port) }
        guard credentials.isInsecure else { throw .badCredentials(address: address) }
        // It was free a moment ago.
        throw .cannotListen(SystemError(doing: "listening on \(address)", errno: EADDRINUSE))
    }

    /// Binds a socket to a path for a moment, unless there is one. Returns the system's error number, 0 for none.
    private func tryBinding(path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard !path.isEmpty else { return EINVAL }
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return ENAMETOOLONG }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        var status = stat()
        // What an earlier process left, which the core replaces.
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK { return 0 }

        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        let isBound = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound else { return errno }
        unlink(path)
        return 0
    }
}
