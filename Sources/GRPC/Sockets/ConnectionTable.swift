/// The connections of a server by their descriptors, as far as can be known: the core does not tell when it closes one.
struct ConnectionTable {
    /// Descriptors are small numbers, as the system gives the lowest that is free.
    private var connections: [Connection?] = []
    private(set) var count = 0

    subscript(descriptor: Int) -> Connection? {
        connections.indices.contains(descriptor) ? connections[descriptor] : nil
    }

    /// Takes the place of one that had the same descriptor, which has been closed, then.
    mutating func insert(_ connection: Connection) {
        let index = Int(connection.socket.descriptor)
        while connections.count <= index { connections.append(nil) }
        if connections[index] == nil { count += 1 }
        connections[index] = connection
    }

    /// All of them.
    var all: [Connection] { connections.compactMap(\.self) }

    /// Forgets one, unless another has taken its place.
    mutating func remove(_ connection: Connection) {
        let index = Int(connection.socket.descriptor)
        guard connections.indices.contains(index), connections[index] === connection else { return }
        connections[index] = nil
        count -= 1
    }
}
