internal import Glibc

/// The socket of a connection, which the core closes without telling when.
struct CoreSocket: Sendable {
    let descriptor: Int32
    /// Tells the socket from another one that has the same descriptor later.
    private let inode: UInt64

    init(descriptor: Int32) {
        self.descriptor = descriptor
        inode = Self.inode(of: descriptor)
    }

    /// Whether the core has not closed it yet.
    var isOpen: Bool { Self.inode(of: descriptor) == inode }

    /// Ends the connection in both directions, unless it has been closed: reads and writes of the core fail from now on.
    func disconnect() {
        // When it has been closed, the descriptor may belong to another one.
        if isOpen { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private static func inode(of descriptor: Int32) -> UInt64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : 0
    }
}
