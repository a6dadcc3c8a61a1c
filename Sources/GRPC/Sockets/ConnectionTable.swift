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
        let index = Int(connection.descriptor)
        while connections.count <= index { connections.append(nil) }
        if connections[index] == nil { count += 1 }
        connections[index] = connection
    }

    /// Whether there are fewer than `limit`. Looks for those that have been closed only where it would be full otherwise.
    mutating func hasRoom(upTo limit: Int) -> Bool {
        if count < limit { return true }
        for (index, connection) in connections.enumerated() {
            guard let connection, !connection.isOpen else { continue }
            connections[index] = nil
            count -= 1
        }
        return count < limit
    }
}
