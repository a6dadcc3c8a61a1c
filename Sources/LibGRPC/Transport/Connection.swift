internal import Glibc
internal import Synchronization

/// A connection that an ``Acceptor`` has handed to the core, which closes it.
final class Connection: Sendable {
    let socket: CoreSocket
    /// The peer's address in the core's form.
    let peer: String
    /// The peer's port, if the core names this connection by its peer's address.
    let namedByPort: UInt16?

    /// `nil` for a Unix socket.
    let coalescer: WriteCoalescer?

    private let callCount = Atomic<Int>(0)

    /// - Parameter isNamedByPeer: Whether the core names the connection by its peer's address.
    init(descriptor: Int32, peer: SocketAddress, isNamedByPeer: Bool) {
        socket = CoreSocket(descriptor: descriptor)
        namedByPort = isNamedByPeer && peer.family != AF_UNIX ? peer.port : nil
        self.peer = peer.description
        coalescer = peer.family == AF_UNIX ? nil : WriteCoalescer(descriptor: descriptor)
    }
}

extension Connection {
    /// Whether this is the core's name for the connection: ``peer``, with the brackets of IPv6 percent-encoded.
    func isNamed(_ name: UnsafePointer<CChar>) -> Bool {
        strcmp(peer.replacing("[", with: "%5B").replacing("]", with: "%5D"), name) == 0
    }
}

/// The socket of a connection. The core closes it without reporting that.
struct CoreSocket: Sendable {
    let descriptor: Int32
    /// Distinguishes the socket from a later one with the same descriptor.
    private let inode: UInt64

    init(descriptor: Int32) {
        self.descriptor = descriptor
        inode = Self.inode(of: descriptor)
    }

    /// Whether the core has not closed the socket yet.
    var isOpen: Bool { Self.inode(of: descriptor) == inode }

    /// Ends the connection in both directions: the core's reads and writes fail from now on.
    func disconnect() {
        // After it was closed, the descriptor may belong to another connection.
        if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private static func inode(of descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}

// MARK: - Calls

extension Connection {
    /// Whether calls are open. If so, the TLS handshake is complete.
    var hasCalls: Bool { callCount.load(ordering: .relaxed) > 0 }

    /// Counts a call that has arrived; ``callEnded()`` must follow. Returns `false` above `limit` and closes the
    /// connection: the peer makes or resets calls faster than they can be freed.
    func callBegan(limit: Int) -> Bool {
        let count = callCount.add(1, ordering: .relaxed).newValue
        // Only once: many more calls may have arrived already.
        if count - 1 == limit { socket.disconnect() }
        return count <= limit
    }

    func callEnded() {
        callCount.subtract(1, ordering: .relaxed)
    }
}

/// The connections of a server by their descriptors. Some may be closed, because the core does not report that.
struct ConnectionTable {
    /// Indexed by descriptor. The system always uses the lowest free number, so the array stays small.
    private var connections: [Connection?] = []
    /// The connections that the core names by their peer's address, by its port. Ports are nearly always unique.
    private var named: [UInt16: [Connection]] = [:]
    private(set) var count = 0

    subscript(descriptor: Int) -> Connection? {
        connections.indices.contains(descriptor) ? connections[descriptor] : nil
    }

    /// The connection from a peer, by the core's name: `ipv4:127.0.0.1:4242`, or `ipv6:%5B::1%5D:4242`.
    subscript(peer name: UnsafePointer<CChar>) -> Connection? {
        guard let colon = strrchr(name, 0x3A), let port = UInt16(exactly: strtol(colon + 1, nil, 10)),
            let candidates = named[port]
        else { return nil }
        if candidates.count == 1 { return candidates[0] }
        return candidates.last { $0.isNamed(name) }
    }

    /// Adds a connection. It replaces one with the same descriptor, which must have been closed.
    mutating func insert(_ connection: Connection) {
        let index = Int(connection.socket.descriptor)
        while connections.count <= index { connections.append(nil) }
        if let earlier = connections[index] { remove(earlier) }
        count += 1
        connections[index] = connection
        if let port = connection.namedByPort { named[port, default: []].append(connection) }
    }

    var all: [Connection] { connections.compactMap(\.self) }

    /// Removes a connection, unless another one has replaced it.
    mutating func remove(_ connection: Connection) {
        let index = Int(connection.socket.descriptor)
        guard connections.indices.contains(index), connections[index] === connection else { return }
        connections[index] = nil
        count -= 1
        guard let port = connection.namedByPort else { return }
        named[port]?.removeAll { $0 === connection }
        if named[port]?.isEmpty == true { named[port] = nil }
    }
}

/// How many file descriptors connections may use.
enum DescriptorLimit {
    /// What connections leave free for event loops, files, databases, name lookups and the program's own connections.
    /// At most half of all.
    private static var reserve: Int { 128 + 6 * max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    static var connections: Int {
        let all = current
        return max(1, all - min(reserve, all / 2))
    }

    private static var current: Int {
        var limit = rlimit()
        let result = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return result == 0 ? Int(clamping: limit.rlim_cur) : 1024
    }
}
