internal import Glibc

/// A socket that listens. Whoever has it last closes it.
public struct ListeningSocket: Sendable {
    /// The system's number of the socket.
    public let descriptor: Int32
    /// Where it listens: `127.0.0.1:51075`, `[::]:51075` or `unix:/run/socket`.
    public let address: String
    /// The port, which the system has chosen if it was asked for any; 0 for a socket with a path.
    public let port: UInt16
    /// Where its connections go; `nil` for those without encryption.
    var entrance: Entrance?
    /// The file of a socket with a path.
    private let file: SocketFile?

    /// How often to look for a port that is free at all addresses, when the system may choose it.
    private static let attemptsAtAnyPort = 16

    /// Listens on every address that a text names, with one port for all.
    ///
    /// Addresses of a family that this machine does not have are left out, if there is another one.
    /// - Parameter text: `HOST:PORT`, `[IPv6]:PORT`, `*:PORT` for every address of both families, or `unix:PATH`.
    /// - Returns: At least one.
    /// - Throws: If one of them is not possible.
    public static func listen(on text: String) throws(SystemError) -> [ListeningSocket] {
        if text.hasPrefix("unix:") { return [try listen(path: String(text.dropFirst("unix:".count)), named: text)] }
        let addresses = try SocketAddress.resolve(text)
        var attempts = 1
        while true {
            do throws(SystemError) {
                return try listen(at: addresses, named: text)
            } catch {
                // The port that is free in one family may be taken in the other one.
                guard error.errno == EADDRINUSE, addresses[0].port == 0, attempts < attemptsAtAnyPort else {
                    throw error
                }
                attempts += 1
            }
        }
    }

    private static func listen(
        at addresses: [SocketAddress],
        named text: String
    ) throws(SystemError) -> [ListeningSocket] {
        var sockets: [ListeningSocket] = []
        var absence = SystemError(doing: "listening on \(text)", errno: EADDRNOTAVAIL)
        for var address in addresses {
            if address.port == 0, let first = sockets.first { address.port = first.port }
            do {
                sockets.append(try ListeningSocket(address, named: address.text))
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

    private static func listen(path: String, named text: String) throws(SystemError) -> ListeningSocket {
        let address = try SocketAddress(path: path, named: text)
        let lock = FolderLock(ofFile: path)
        defer { lock.release() }
        do throws(SystemError) {
            return try ListeningSocket(address, path: path, named: text)
        } catch {
            // A socket that an ended process left is replaced; anything else that is there is not ours to remove.
            guard error.errno == EADDRINUSE, SocketFile(path: path) != nil, address.refusesConnections() else {
                throw error
            }
        }
        unlink(path)
        return try ListeningSocket(address, path: path, named: text)
    }

    /// Whether an address cannot be listened on because this machine does not have it: `localhost` often names one of
    /// IPv6 where that is switched off.
    private static func isAbsence(_ error: Int32) -> Bool { error == EADDRNOTAVAIL || error == EAFNOSUPPORT }

    private init(_ address: SocketAddress, path: String? = nil, named text: String) throws(SystemError) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw SystemError(doing: "listening on \(text)", errno: errno) }
        // The file gets the rights that the socket has by then: it is for this program's user alone.
        if path != nil { fchmod(descriptor, S_IRUSR | S_IWUSR) }
        // Connections of an earlier process may still be ending; that is to keep nobody from listening.
        setSocketOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        // Each family has a socket of its own: with one for both, who else listens in one family would go unnoticed.
        if address.family == AF_INET6 { setSocketOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        do throws(SystemError) {
            let bound = try address.listen(descriptor, as: text)
            port = bound.port
            self.address = path == nil ? bound.text : text
        } catch {
            closeDescriptor(descriptor)
            throw error
        }
        self.descriptor = descriptor
        file = path.flatMap(SocketFile.init(path:))
    }

    /// The next connection that waits, without waiting for one: a descriptor, or -1 and `errno`.
    func accept(_ peer: inout SocketAddress) -> Int32 {
        let connection = peer.accept(from: descriptor)
        guard connection >= 0 else { return connection }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        _ = fcntl(connection, F_SETFL, O_NONBLOCK)
        return connection
    }

    /// Stops listening.
    public func close() {
        file?.remove()
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
