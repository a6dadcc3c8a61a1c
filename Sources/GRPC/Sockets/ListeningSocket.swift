#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

/// A TCP socket that listens. Whoever has it last closes it.
struct ListeningSocket: Sendable {
    let descriptor: Int32
    /// The port, which the system has chosen if it was asked for any.
    let port: UInt16

    /// Listens on every address that a text names, with one port for all.
    ///
    /// `0.0.0.0` is every address of this machine, of either family where the system has both.
    /// - Parameter text: `HOST:PORT` or `[IPv6]:PORT`.
    /// - Throws: If that is not possible.
    static func listen(on text: String) throws(SystemError) -> [ListeningSocket] {
        var addresses = try SocketAddress.resolve(text)
        if text.hasPrefix("0.0.0.0:") {
            let either = try SocketAddress.resolve("[::]:" + text.dropFirst("0.0.0.0:".count))
            if let socket = try? ListeningSocket(either[0], named: text) { return [socket] }
        }
        var sockets: [ListeningSocket] = []
        var absence = SystemError(doing: "listening on \(text)", errno: EADDRNOTAVAIL)
        for index in addresses.indices {
            if addresses[index].port == 0, let first = sockets.first { addresses[index].port = first.port }
            do {
                sockets.append(try ListeningSocket(addresses[index], named: text))
            } catch  where isAbsence(error.errno) {
                absence = error
            } catch {
                for socket in sockets { socket.close() }
                throw error
            }
        }
        guard !sockets.isEmpty else { throw absence }
        return sockets
    }

    /// Whether an address cannot be listened on because this machine does not have it: `localhost` often names one of
    /// IPv6 where that is switched off.
    private static func isAbsence(_ error: Int32) -> Bool { error == EADDRNOTAVAIL || error == EAFNOSUPPORT }

    private init(_ address: SocketAddress, named text: String) throws(SystemError) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw SystemError(doing: "listening on \(text)", errno: errno) }
        // Connections of an earlier process may still be ending; that is to keep nobody from listening.
        setSocketOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if address.family == AF_INET6 { setSocketOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        do throws(SystemError) {
            port = try address.listen(descriptor, as: text)
        } catch {
            closeDescriptor(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    /// The next connection that waits, without waiting for one: a descriptor, or -1 and `errno`.
    func accept(_ peer: inout SocketAddress) -> Int32 {
        let connection = peer.accept(from: descriptor)
        guard connection >= 0 else { return connection }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        return connection
    }

    func close() {
        closeDescriptor(descriptor)
    }
}

/// The system's `close`, where another one is nearer.
private func closeDescriptor(_ descriptor: Int32) { close(descriptor) }

/// Sets an option whose value is a number. Where the system does not have it, things go on without.
func setSocketOption(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}
