internal import Glibc

/// A socket that listens. The last owner closes it.
public struct ListeningSocket: Sendable {
    /// The socket's file descriptor.
    public let descriptor: Int32
    /// Where it listens: `127.0.0.1:51075`, `[::]:51075` or `unix:/run/socket`.
    public let address: String
    /// The port, chosen by the system if you asked for port 0; 0 for a Unix socket.
    public let port: UInt16
    /// Where its connections go; `nil` without encryption.
    var externalListener: ExternalListener?
    /// The file of a Unix socket.
    private let file: SocketFile?

    /// How many ports to try when the system chooses one that must be free on all addresses.
    private static let attemptsAtAnyPort = 16

    /// Listens on every address of a text, with one port for all.
    ///
    /// Skips addresses of a family that this machine does not have, if another one remains. Blocks while it resolves a
    /// name.
    /// - Parameter text: `HOST:PORT`, `[IPv6]:PORT`, `*:PORT` for all addresses of both families, or `unix:PATH`.
    /// - Returns: At least one socket.
    /// - Throws: If one of the addresses is invalid or in use.
    public static func listen(on text: String) throws(SystemError) -> [ListeningSocket] {
        if text.hasPrefix("unix:") { return [try listen(path: String(text.dropFirst("unix:".count)), named: text)] }
        let addresses = try SocketAddress.resolve(text)
        var attempts = 1
        while true {
            do throws(SystemError) {
                return try listen(at: addresses, named: text)
            } catch {
                // A port that is free in one family may be in use in the other one.
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
            // Replace a socket that an ended process left. Never remove anything else.
            guard error.errno == EADDRINUSE, SocketFile(path: path) != nil, address.refusesConnections() else {
                throw error
            }
        }
        unlink(path)
        return try ListeningSocket(address, path: path, named: text)
    }

    /// Whether this machine does not have the address: `localhost` often resolves to an IPv6 address even if IPv6 is
    /// off.
    private static func isAbsence(_ error: Int32) -> Bool { error == EADDRNOTAVAIL || error == EAFNOSUPPORT }

    private init(_ address: SocketAddress, path: String? = nil, named text: String) throws(SystemError) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { throw SystemError(doing: "listening on \(text)", errno: errno) }
        // The file gets the permissions that the socket has when it is bound: for this user only.
        if path != nil { fchmod(descriptor, S_IRUSR | S_IWUSR) }
        // Old connections of an earlier process must not block the port.
        setSocketOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        // One socket per family. With one for both we would miss another program that listens in one of them.
        if address.family == AF_INET6 { setSocketOption(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        do throws(SystemError) {
            let bound = try address.listen(descriptor, as: text)
            port = bound.port
            self.address = path == nil ? bound.text : text
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        file = path.flatMap(SocketFile.init(path:))
    }

    /// Stops listening.
    public func close() {
        file?.remove()
        Glibc.close(descriptor)
    }
}

/// Sets an integer option. Ignores failures: all options used here are optional.
func setSocketOption(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}

/// A socket in the file system. `nil` if the path has none.
struct SocketFile: Equatable {
    let path: String
    private let device: UInt64
    private let inode: UInt64

    init?(path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Removes the file, unless another one has replaced it. Its inode is not reused while the socket is open.
    func remove() {
        let lock = FolderLock(ofFile: path)
        defer { lock.release() }
        if SocketFile(path: path) == self { unlink(path) }
    }
}

/// Lets one process at a time look at a folder's sockets and replace them. It leaves no file.
struct FolderLock {
    private let descriptor: Int32

    private static let attempts = 40
    private static let pauseInMicroseconds: UInt32 = 25_000

    /// Waits up to 1 s, then continues without the lock, as it does if the folder cannot be opened. Servers hold it
    /// only for an instant.
    init(ofFile path: String) {
        let folder = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[...$0] } ?? "."
        descriptor = open(String(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for _ in 0..<Self.attempts where descriptor >= 0 {
            guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR else { return }
            usleep(Self.pauseInMicroseconds)
        }
    }

    func release() {
        if descriptor >= 0 { close(descriptor) }
    }
}
