internal import Glibc

/// The connections of a server by their descriptors, as far as can be known: the core does not tell when it closes one.
struct ConnectionTable {
    /// Descriptors are small numbers, as the system gives the lowest that is free.
    private var connections: [Connection?] = []
    /// Those that the core names by their peer's address, by its port: nearly always one each.
    private var named: [UInt16: [Connection]] = [:]
    private(set) var count = 0

    subscript(descriptor: Int) -> Connection? {
        connections.indices.contains(descriptor) ? connections[descriptor] : nil
    }

    /// The connection from a peer, by the core's name for that: `ipv4:127.0.0.1:4242`, or `ipv6:%5B::1%5D:4242`.
    subscript(peer name: UnsafePointer<CChar>) -> Connection? {
        guard let colon = strrchr(name, 0x3A), let port = UInt16(exactly: strtol(colon + 1, nil, 10)),
            let candidates = named[port]
        else { return nil }
        if candidates.count == 1 { return candidates[0] }
        return candidates.last { $0.isNamed(name) }
    }

    /// Takes the place of one that had the same descriptor, which has been closed, then.
    mutating func insert(_ connection: Connection) {
        let index = Int(connection.socket.descriptor)
        while connections.count <= index { connections.append(nil) }
        if let earlier = connections[index] { remove(earlier) }
        count += 1
        connections[index] = connection
        if let port = connection.namedByPort { named[port, default: []].append(connection) }
    }

    /// All of them.
    var all: [Connection] { connections.compactMap(\.self) }

    /// Forgets one, unless another has taken its place.
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
